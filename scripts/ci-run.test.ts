import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const SCRIPT = path.resolve(import.meta.dirname, '../.ci/run');
const CHECKS = ['eslint', 'prettier', 'tsc', 'knip', 'depcruise', 'node'];

let folder: string;

/** A made-up checkout: the real script, an `npm` that prints what it is told to, and checks that hold. */
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ci-run-'));
  mkdirSync(path.join(folder, '.ci'));
  copyFileSync(SCRIPT, path.join(folder, '.ci/run'));
  for (const check of CHECKS) program(`node_modules/.bin/${check}`, 'exit 0');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(file: string, script: string): void {
  const to = path.join(folder, file);
  mkdirSync(path.dirname(to), { recursive: true });
  writeFileSync(to, `#!/bin/sh\n${script}\n`);
  chmodSync(to, 0o755);
}

function run(...args: string[]) {
  const env = { HOME: folder, PATH: `${path.join(folder, 'bin')}:/usr/bin:/bin` };
  const { stdout, status } = spawnSync('bash', ['.ci/run', ...args], { cwd: folder, encoding: 'utf8', env });
  return { last: stdout.trimEnd().split('\n').at(-1), status, stdout };
}

const says = (line: string, code: number): void => program('bin/npm', `echo "$@"; echo '${line}'; exit ${code}`);

describe('.ci/run', () => {
  it.each<[string, () => void, string, number]>([
    ['everything held', () => says('40 passed, 0 failed, 2 skipped', 0), '46 passed, 0 failed, 2 skipped', 0],
    ['a test failed', () => says('39 passed, 1 failed, 0 skipped', 1), '45 passed, 1 failed, 0 skipped', 1],
    ['the tests ended otherwise', () => says('40 passed, 0 failed, 0 skipped', 1), '46 passed, 1 failed, 0 skipped', 1],
    ['nothing was counted', () => says('killed', 137), '6 passed, 1 failed, 0 skipped', 1],
    [
      'a check failed',
      () => {
        says('40 passed, 0 failed, 0 skipped', 0);
        program('node_modules/.bin/knip', 'echo unused; exit 1');
      },
      '45 passed, 1 failed, 0 skipped',
      1,
    ],
  ])('%s: sums up in its last line, and its code says so', (_, prepare, last, code) => {
    prepare();
    expect(run()).toMatchObject({ last, status: code });
  });

  it('runs the README’s command with its arguments, and shows what a failed check said', () => {
    says('1 passed, 0 failed, 0 skipped', 0);
    program('node_modules/.bin/tsc', 'echo TS2322; exit 2');
    const { stdout } = run('--full');
    expect(stdout).toContain('test -- --full\n');
    expect(stdout).toMatch(/types +FAILED[^]*TS2322/);
  });
});
