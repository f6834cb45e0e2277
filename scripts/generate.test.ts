import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { withBlock } from './generated-block.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');

describe('what is generated', () => {
  it('is what contracts and the services’ folders say (node scripts/generate.ts)', async () => {
    const args = [path.join(CHECKOUT, 'scripts/generate.ts'), '--check'];
    const told = promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) => error);
    expect((await told).stdout).toBe('');
  });
});

describe('withBlock', () => {
  it('replaces what lies between the marked lines and keeps these', () => {
    const text = 'a\n  # <services> written\nold\n\nolder\n  # </services>\nz\n';
    expect(withBlock(text, '\nnew\n')).toBe('a\n  # <services> written\n\nnew\n\n  # </services>\nz\n');
    expect(withBlock(withBlock(text, 'x'), 'x')).toBe('a\n  # <services> written\nx\n  # </services>\nz\n');
  });

  it.each(['no lines', '<services> alone', '</services>\n<services>'])('refuses %j', (text) =>
    expect(() => withBlock(text, 'x')).toThrow('no lines that hold <services>'),
  );
});
