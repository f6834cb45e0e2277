import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { overrideVariable, partEntry, PARTS, readVersion } from './catalogue.ts';
import { cachedPartPath, cacheFolder, findPart, howToGet, PartMissing } from './find.ts';
import { goEnvironment } from './go-environment.ts';
import { withLock } from './part-lock.ts';
import { duration, PartsProgress, progressBar } from './progress.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'parts-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A program that prints `output`, whatever it is asked. */
function program(file: string, output: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${output}'\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('findPart', () => {
  const env = (more: Record<string, string> = {}): Record<string, string> => ({
    PATH: path.join(folder, 'bin'),
    XDG_CACHE_HOME: path.join(folder, 'cache'),
    ...more,
  });
  const onPath = (output: string): string => program(path.join(folder, 'bin/nats-server'), output);
  const inCache = (): string => program(cachedPartPath(partEntry('nats-server'), env()), 'unasked');

  it('takes the override first, whatever its version', async () => {
    onPath('nats-server: v2.16.0');
    const chosen = program(path.join(folder, 'mine'), 'v0.1.0');
    expect(await findPart('nats-server', env({ KUIK_PART_NATS_SERVER: chosen }))).toEqual({
      path: chosen,
      from: 'override',
    });
  });

  it('refuses an override that is no program', async () => {
    const found = findPart('nats-server', env({ KUIK_PART_NATS_SERVER: folder }));
    await expect(found).rejects.toThrow(`KUIK_PART_NATS_SERVER=${folder} is not an executable file`);
  });

  it.each([
    ['nats-server: v2.15.2', 'path'],
    ['nats-server: v2.16.1', 'path'],
    ['nats-server: v2.9.10', 'cache'],
    ['nats-server: v3.0.0', 'cache'],
    ['no version', 'cache'],
  ])('with %j on PATH takes that of the %s', async (output, from) => {
    const paths = { path: onPath(output), cache: inCache() };
    expect(await findPart('nats-server', env())).toEqual({ path: paths[from as 'path'], from });
  });

  it('finds nothing where nothing is', async () => {
    expect(await findPart('nats-server', env())).toBeUndefined();
  });

  it('finds what is never on PATH, under the name of its program', async () => {
    const found = await findPart('cni-plugins', env());
    const known = ['/usr/lib/cni/bridge', '/opt/cni/bin/bridge'].find((file) => existsSync(file));
    expect(found).toEqual(known && { path: known, from: 'path' });
    const chosen = program(path.join(folder, 'bridge'), '');
    expect(await findPart('cni-plugins', env({ KUIK_PART_CNI_PLUGINS: chosen }))).toMatchObject({ path: chosen });
  });

  it('does not take a version out of the program’s own path', async () => {
    program(path.join(folder, 'v3.1.9', 'registry'), `${path.join(folder, 'v3.1.9', 'registry')} v2.8.3`);
    expect(await findPart('registry', env({ PATH: path.join(folder, 'v3.1.9') }))).toBeUndefined();
  });
});

describe('the catalogue', () => {
  it.each([
    ['Kubernetes v1.36.3', [1, 36, 3]],
    ['etcd Version: 3.7.3\nGo Version: go1.26.8', [3, 7, 3]],
    ['Redis server v=7.0.15 sha=00000000:0', [7, 0, 15]],
    ['skopeo version 1.9.3', [1, 9, 3]],
    ['v4.3', [4, 3, 0]],
    ['none', undefined],
  ])('reads %j', (output, version) => {
    expect(readVersion(output)).toEqual(version);
  });

  it('accepts the versions that it names itself', () => {
    for (const entry of PARTS.values())
      expect([entry.name, entry.accepts(readVersion(entry.version)!)]).toEqual([entry.name, true]);
  });

  it('says for every part how to get it', () => {
    for (const entry of PARTS.values()) expect(howToGet(entry)).toContain(overrideVariable(entry.name));
    expect(howToGet(partEntry('nats-server'))).toMatch(/npm test/);
    expect(howToGet(partEntry('skopeo'))).toMatch(/(apt-get|brew) install .*skopeo/);
    expect(new PartMissing('x')).toBeInstanceOf(Error);
  });

  it('keeps everything below one cache folder', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/c' })).toBe('/c/kube-image-keeper');
    expect(cacheFolder({ XDG_CACHE_HOME: '/c', KUIK_CACHE_FOLDER: '/d/kuik' })).toBe('/d/kuik');
    expect(cacheFolder({ XDG_CACHE_HOME: 'relative' })).toMatch(/^\/.*\/\.cache\/kube-image-keeper$/);
    expect(cachedPartPath(partEntry('etcd'), { XDG_CACHE_HOME: '/c' })).toBe(
      '/c/kube-image-keeper/parts/etcd-v3.7.3/etcd',
    );
  });
});

describe('goEnvironment', () => {
  it('lets Go keep nothing outside the cache folder, and the person keep their settings', () => {
    mkdirSync(path.join(folder, 'config/go'), { recursive: true });
    writeFileSync(path.join(folder, 'config/go/env'), 'GOPROXY=https://proxy.example.test\n');
    const env = goEnvironment('/cache', { HOME: '/home/x', XDG_CONFIG_HOME: path.join(folder, 'config') }, 'linux');
    expect(env).toMatchObject({
      GOENV: path.join(folder, 'config/go/env'),
      GOMODCACHE: '/cache/go/mod',
      GOCACHE: '/cache/go/build',
      GOPATH: '/cache/go/path',
      XDG_CONFIG_HOME: '/cache/home/config',
      CGO_ENABLED: '0',
      GOTOOLCHAIN: 'local',
    });
    expect(goEnvironment('/cache', { HOME: '/home/x' }, 'darwin')['HOME']).toBe('/cache/home');
  });
});

describe('withLock', () => {
  it('lets one work at a time, and gives the lock back after a failure', async () => {
    const lock = path.join(folder, 'a/lock');
    const log: string[] = [];
    const waits: number[] = [];
    const work = (name: string) => async (): Promise<void> => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name} ends`);
      if (name === 'one') throw new Error('one failed');
    };
    const options = { everyMs: 1, onWait: (pid: number) => void waits.push(pid) };
    const outcomes = await Promise.allSettled([
      withLock(lock, work('one'), options),
      withLock(lock, work('two'), options),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'fulfilled']);
    expect(log).toEqual(['one begins', 'one ends', 'two begins', 'two ends']);
    expect(waits).toEqual([process.pid]);
  });

  it('takes over from a holder that died', async () => {
    const lock = path.join(folder, 'lock');
    // No system gives out this pid.
    writeFileSync(lock, '2147483646');
    expect(await withLock(lock, async () => 'done', { everyMs: 1 })).toBe('done');
  });
});

describe('progress', () => {
  it.each([
    [{ done: 0, total: 0 }, 9_000, 'downloading modules  9s'],
    [{ done: 0, total: 1490 }, 0, '[>             ] 0/1490 packages  0s'],
    [{ done: 812, total: 1490 }, 190_000, '[=======>      ] 812/1490 packages  3m10s'],
    [{ done: 1490, total: 1490 }, 240_000, '[==============] 1490/1490 packages  4m00s'],
  ])('%j after %i ms: %s', (progress, ms, line) => {
    expect(progressBar(progress, ms)).toBe(line);
  });

  it('says durations as people do', () => {
    expect([400, 59_400, 60_000, 3_605_000].map(duration)).toEqual(['0s', '59s', '1m00s', '60m05s']);
  });

  it('prints plain lines now and then where there is no terminal', () => {
    let text = '';
    let now = 0;
    const progress = new PartsProgress({ write: (chunk) => (text += chunk) }, () => now);
    progress.have('redis-server', '/usr/bin/redis-server', false);
    for (now = 0; now <= 60_000; now += 10_000) progress.building('etcd', '3.7.3', { done: now / 1000, total: 100 });
    progress.have('etcd', '/x', true);
    progress.end();
    expect(text.split('\n')).toEqual([
      '  parts      etcd 3.7.3 building [>             ] 0/100 packages  0s',
      '             etcd 3.7.3 building [====>         ] 30/100 packages  30s',
      '             etcd 3.7.3 building [========>     ] 60/100 packages  1m00s',
      '             etcd built in 1m10s',
      '             redis-server ok',
      '',
    ]);
  });

  it('rewrites one line on a terminal', () => {
    let text = '';
    const progress = new PartsProgress({ isTTY: true, write: (chunk) => (text += chunk) }, () => 0);
    progress.building('etcd', '3.7.3', { done: 1, total: 2 });
    expect(text.startsWith('\r  parts      etcd 3.7.3 building [')).toBe(true);
    expect(text.endsWith('1/2 packages  0s\x1b[K')).toBe(true);
  });
});
