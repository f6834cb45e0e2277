import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

let folder: string;
let cache: string;

/** A made-up checkout: the real bootstrap, a pnpm that only counts its calls, and a script to hand over to. */
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'bootstrap-'));
  cache = path.join(folder, 'cache', 'kube-image-keeper');
  write('checkout/package.json', '{ "private": true }');
  write('checkout/pnpm-lock.yaml', 'lockfileVersion: 9');
  write('checkout/pnpm-workspace.yaml', 'packages: []');
  write(
    'checkout/scripts/test.ts',
    `if (process.argv.includes('wait')) { process.on('SIGTERM', () => process.exit(7)); console.log('waiting'); setInterval(() => {}, 1000); }
     else { console.log('ran', process.argv.slice(2).join(), process.env.KUIK_CACHE_FOLDER); process.exitCode = Number(process.argv[2] ?? 0); }`,
  );
  copyFileSync(path.join(import.meta.dirname, 'bootstrap.mjs'), path.join(folder, 'checkout/scripts/bootstrap.mjs'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), text);
}

function program(file: string, script: string): void {
  write(file, `#!/bin/sh\n${script}\n`);
  chmodSync(path.join(folder, file), 0o755);
}

/** pnpm as it lies in the cache folder; `install` is what it does. */
function pnpm(install: string): void {
  program('cache/kube-image-keeper/pnpm-12.21.0/node_modules/.bin/pnpm', `echo "$@" >>"${folder}/calls"\n${install}`);
}
const GIVES_NODE = `/bin/mkdir -p node_modules/.bin && /bin/ln -sf "${process.execPath}" node_modules/.bin/node`;

const command = (args: string[]): string[] => [path.join(folder, 'checkout/scripts/bootstrap.mjs'), ...args];
// PATH holds only what the test puts there: no go, no git, no npm.
const env = (): Record<string, string> => ({
  HOME: path.join(folder, 'home'),
  XDG_CACHE_HOME: path.join(folder, 'cache'),
  PATH: path.join(folder, 'bin'),
});
const run = (...args: string[]): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, command(args), { encoding: 'utf8', env: env() });

describe('the bootstrap', () => {
  it('installs, hands over with the arguments, and ends as the script ends', () => {
    pnpm(GIVES_NODE);
    const { stdout, status } = run('test', '3', 'unit');
    expect(stdout).toContain('go missing · git missing');
    expect(stdout).toMatch(/pnpm 12\.21 ok[^]*dependencies installed[^]*\d s\n/);
    expect(stdout).toContain(`ran 3,unit ${cache}\n`);
    expect(status).toBe(3);
    expect(readFileSync(path.join(folder, 'calls'), 'utf8')).toContain('install --frozen-lockfile');
  });

  it('installs again only when the lockfile or a manifest changed', () => {
    pnpm(GIVES_NODE);
    run('test');
    expect(run('test').stdout).toContain('dependencies ok');
    write('checkout/pnpm-lock.yaml', 'lockfileVersion: 9\nchanged: true');
    expect(run('test').stdout).toContain('dependencies installed');
    write('checkout/services/new/package.json', '{}');
    expect(run('test').stdout).toContain('dependencies installed');
    expect(readFileSync(path.join(folder, 'calls'), 'utf8').trim().split('\n')).toHaveLength(3);
  });

  it('gets Node by npm, once, where the lockfile has none for the machine', () => {
    const name = `node-${process.platform}-${process.arch}`;
    write('checkout/package.json', JSON.stringify({ private: true, optionalDependencies: { [name]: '24.0.9' } }));
    pnpm('exit 0');
    // As npm would, below the folder after --prefix.
    program(
      'bin/npm',
      `echo "$@" >>"${folder}/npm"; /bin/mkdir -p "$3/node_modules/${name}/bin"; /bin/ln -s "${process.execPath}" "$3/node_modules/${name}/bin/node"`,
    );
    expect(run('test').stdout).toContain('ran');
    write('checkout/pnpm-lock.yaml', 'lockfileVersion: 9\nchanged: true');
    expect(run('test').stdout).toContain('ran');
    expect(readFileSync(path.join(folder, 'npm'), 'utf8').match(/node-.*/g)).toEqual([
      expect.stringContaining(`${name}@24.0.9`),
    ]);
    rmSync(path.join(cache, 'node-24.0.9'), { recursive: true });
    expect(run('test').stdout).toContain('ran');
  });

  it.each<[string, () => void, string[], RegExp]>([
    ['a command it does not know', () => undefined, ['build'], /cannot go on: usage: .*start\|test/],
    ['no npm', () => undefined, ['test'], /cannot go on: pnpm@12\.21\.0 could not be had through npm.*ENOENT/],
    [
      'no package registry',
      () => program('bin/npm', 'echo "npm error network" >&2; exit 1'),
      ['test'],
      /could not be had through npm\. Is a package registry reachable.*\nnpm error network/,
    ],
    [
      'a failed install',
      () => pnpm('echo "ERR_PNPM_X what is wrong"; exit 1'),
      ['test'],
      /could not be installed\.\nERR_PNPM_X/,
    ],
    ['no Node for this machine', () => pnpm('exit 0'), ['test'], /no Node 24 package for \w+-\w+/],
  ])('says what is wrong: %s', (_what, prepare, args, message) => {
    prepare();
    const { stderr, status } = run(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(1);
  });

  it('never takes a broken-off download for pnpm', () => {
    program('bin/npm', 'exit 1');
    run('test');
    expect(existsSync(path.join(cache, 'pnpm-12.21.0'))).toBe(false);
  });

  it('passes a signal on and ends with the script’s own code', async () => {
    pnpm(GIVES_NODE);
    const child = spawn(process.execPath, command(['test', 'wait']), {
      env: env(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    for await (const chunk of child.stdout) {
      output += String(chunk);
      if (output.includes('waiting')) break;
    }
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([7, null]);
  });

  it.each([
    [
      'a cache folder below /proc',
      '/proc/kuik/cache',
      '/proc/kuik/cache cannot be written to (ENOENT): name another one in KUIK_CACHE_FOLDER',
    ],
    [
      'a cache folder below a file',
      '/etc/hostname/cache',
      '/etc/hostname/cache cannot be written to (ENOTDIR): name another one',
    ],
  ])('says at once that it cannot write to %s', (_what, KUIK_CACHE_FOLDER, message) => {
    const { status, stderr } = spawnSync(process.execPath, command(['test']), {
      encoding: 'utf8',
      env: { ...env(), KUIK_CACHE_FOLDER },
      timeout: 10_000,
    });
    expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
  });

  it('leaves nothing in the home folder', () => {
    mkdirSync(path.join(folder, 'home'));
    pnpm(GIVES_NODE);
    run('test');
    expect(spawnSync('/bin/ls', ['-A', path.join(folder, 'home')], { encoding: 'utf8' }).stdout).toBe('');
  });
});
