import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digestOf } from '@kuik/image';
import { makeImage, makeIndex } from '../images/index.ts';

import type { UpstreamRegistry } from '../port.ts';
import { runSkopeo } from '../stack/skopeo.ts';
import { startUpstreamRegistry } from '../stack/upstream-registry.ts';
import { startFaultProxy, type FaultProxy } from './index.ts';

let registry: UpstreamRegistry;
let faults: FaultProxy;
let folder: string;

beforeAll(async () => {
  registry = await startUpstreamRegistry();
  faults = await startFaultProxy({ backingUrl: registry.url, hosts: ['docker.io'] });
  folder = await mkdtemp(path.join(tmpdir(), 'kuik-skopeo-'));
});
afterAll(async () => {
  await faults.close();
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => faults.reset());

describe('skopeo through the proxy', () => {
  const copy = (from: string, name: string, ...more: string[]) =>
    runSkopeo([
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      ...more,
      `docker://${from}`,
      `dir:${path.join(folder, name)}`,
    ]);

  it('copies an index with every child, byte for byte, by the path form', async () => {
    const image = await makeIndex({
      seed: 'sk',
      layers: [5_000, 'empty', 200_000],
      platforms: ['linux/amd64', 'linux/arm64', 'linux/arm/v7'],
      json: 'odd',
      childWithoutPlatform: true,
    });
    await faults.push('docker.io', 'library/sk', ['1'], image);
    await copy(`${new URL(faults.url).host}/docker.io/library/sk:1`, 'index', '--all');
    expect(digestOf(await readFile(path.join(folder, 'index', 'manifest.json')))).toBe(image.digest);
    expect(faults.log.total({ host: 'docker.io', kind: 'manifest-digest' }).requests).toBeGreaterThanOrEqual(
      image.manifests.length - 1,
    );
  });

  it.each([
    ['a Docker manifest', () => makeImage({ seed: 'dm', format: 'docker', json: 'pretty' })],
    ['a Docker manifest list', () => makeIndex({ seed: 'dl', format: 'docker' })],
    ['zstd layers', () => makeImage({ seed: 'zs', layers: [{ bytes: 3000, encoding: 'zstd' }] })],
  ])('copies %s', async (name, make) => {
    const image = await make();
    const repository = name.toLowerCase().replaceAll(' ', '-');
    await faults.push('docker.io', repository, ['1'], image);
    await copy(`${faults.host('docker.io').address}/${repository}:1`, repository, '--all');
    expect(digestOf(await readFile(path.join(folder, repository, 'manifest.json')))).toBe(image.digest);
  });

  it('logs in at the token server, follows blobs to the origin without its credential', async () => {
    const image = await makeImage({ seed: 'private', layers: [9_000] });
    await faults.push('docker.io', 'team/app', ['1'], image);
    const hub = faults.host('docker.io');
    await hub.auth({ scheme: 'bearer', users: [{ username: 'ann', password: 'pw' }] });
    hub.on({ kind: 'blob' }).redirect();
    await expect(copy(`${hub.address}/team/app:1`, 'anonymous')).rejects.toThrow(/unauthorized|denied/);
    await copy(`${hub.address}/team/app:1`, 'ann', '--src-creds=ann:pw');
    const atOrigin = faults.log.requests({ host: faults.originName });
    expect(atOrigin.length).toBeGreaterThanOrEqual(2);
    expect(atOrigin.map(({ auth, status }) => `${auth} ${status}`)).toEqual(atOrigin.map(() => 'none 200'));
    expect(faults.log.total({ kind: 'token', status: 200 }).requests).toBeGreaterThanOrEqual(1);
  });

  it('notices wrong bytes', async () => {
    await faults.push('docker.io', 'wrong', ['1'], await makeImage({ seed: 'wrong', layers: [9_000] }));
    faults.host('docker.io').on({ kind: 'blob' }).flip(20);
    await expect(copy(`${faults.host('docker.io').address}/wrong:1`, 'wrong')).rejects.toThrow(/[Dd]igest/);
  });
});
