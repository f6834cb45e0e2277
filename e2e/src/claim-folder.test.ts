import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { claimFolder } from './claim-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'claim-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => path.join(folder, name);

it('is refused to a second one while the first runs, and had by the next when that is gone', async () => {
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  writeFileSync(at('local.pid'), `${other.pid}\n`);
  writeFileSync(at('local.env'), 'ITS=own\n');
  expect(() => claimFolder(folder)).toThrow(`process ${other.pid} is running a stack in this checkout already`);
  expect(readFileSync(at('local.env'), 'utf8')).toBe('ITS=own\n');
  other.kill('SIGKILL');
  await once(other, 'exit');
  claimFolder(folder);
  expect(readFileSync(at('local.pid'), 'utf8')).toBe(`${process.pid}\n`);
});

it('is given back at the end, with what was written into it', () => {
  const giveBack = claimFolder(path.join(folder, 'made', 'here'));
  writeFileSync(path.join(folder, 'made', 'here', 'local.env'), '');
  giveBack();
  expect(readdirSync(path.join(folder, 'made', 'here'))).toEqual(['local.env']);
});
