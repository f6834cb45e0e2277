import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { LineBatch } from './line-batch.ts';

function batch(): { lines: LineBatch; writes: string[] } {
  const writes: string[] = [];
  return { lines: new LineBatch((text) => writes.push(text)), writes };
}

/** Waits for it turn by turn; the test's own time limit ends that. */
async function writtenTimes(writes: readonly string[], times: number): Promise<void> {
  while (writes.length < times) await new Promise((resolve) => setImmediate(resolve));
}

describe('LineBatch', () => {
  it('writes lines that come together at once, in order', async () => {
    const { lines, writes } = batch();
    lines.add('a');
    lines.add('b');
    expect(writes).toEqual([]);
    await writtenTimes(writes, 1);
    lines.add('c');
    await writtenTimes(writes, 2);
    expect(writes).toEqual(['a\nb\n', 'c\n']);
  });

  it('does not keep back more than it may', () => {
    const { lines, writes } = batch();
    lines.add('x'.repeat(40_000));
    lines.add('y'.repeat(40_000));
    expect(writes.map(({ length }) => length)).toEqual([80_002]);
  });
});

describe('standardOutput', () => {
  it.each([
    ['ends by itself', ''],
    ['is ended at once', 'process.exit(3);'],
    ['dies of an error', 'throw new Error("x");'],
  ])('loses no line of a process that %s', async (_what, end) => {
    const module = JSON.stringify(path.join(import.meta.dirname, 'line-batch.ts'));
    const script = `import { standardOutput } from ${module}; standardOutput()('first'); standardOutput()('last'); ${end}`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const { stdout } = await run.catch((error: { stdout: string }) => error);
    expect(stdout).toBe('first\nlast\n');
  });
});
