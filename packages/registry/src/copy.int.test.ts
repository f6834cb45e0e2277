import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  makeImage,
  makeIndex,
  startCacheRegistry,
  startFaultProxy,
  startUpstreamRegistry,
  until,
  type CacheRegistry,
  type FaultPicker,
  type FaultProxy,
  type KindPattern,
  type MadeImage,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { createRegistryAccess, type RegistryAccessOptions } from './access.ts';
import { copyImage, type CopyOptions } from './copy.ts';
import { readBlob } from './open-blob.ts';
import { toldPlaces } from './testing/told-places.ts';

const HUB = 'docker.io';
const MiB = 1024 * 1024;

let registry: UpstreamRegistry;
let cache: CacheRegistry;
let faults: FaultProxy;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [registry, cache] = await Promise.all([startUpstreamRegistry(), startCacheRegistry()]);
  faults = await startFaultProxy({ backingUrl: registry.url, tls: true, hosts: [HUB] });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((access) => access.close()));
  await faults.reset();
});
afterAll(async () => {
  await faults.close();
  await Promise.all([registry.stop(), cache.stop()]);
});

async function world(seed: string, image: MadeImage, options: RegistryAccessOptions = {}) {
  const name = `copies/${seed}`;
  await faults.push(HUB, name, ['v1'], image);
  const access = createRegistryAccess({ registries: faults.registries(), ...options });
  opened.push(access);
  const signer = {
    issuer: cache.writerKey.issuer,
    audience: cache.writerKey.audience,
    keyPem: cache.writerKey.privateKey,
    certificatePem: cache.writerKey.certificate,
    actions: ['pull', 'push', 'delete'] as const,
  };
  const endpoint = { url: cache.writerUrl, signer };
  const source = access.upstream(HUB, name, { credentials: () => Promise.resolve([]) });
  const target = access.cache(endpoint, `${HUB}/${name}`);
  const copy = (more: Partial<CopyOptions> = {}) =>
    copyImage({ source, target, reference: 'v1', targetTag: 'v1', ...more });
  const holds = async () => {
    for (const manifest of image.manifests) {
      expect((await target.openManifest(manifest.digest)).bytes.equals(manifest.bytes)).toBe(true);
    }
    for (const blob of image.blobs) {
      expect(await readBlob(await target.openBlob(blob.digest), 1e9)).toHaveLength(blob.size);
    }
    expect((await target.headManifest('v1')).digest).toBe(image.digest);
  };
  return { source, target, copy, holds, sibling: access.cache(endpoint, `${HUB}/${name}-sibling`) };
}

const raw = (bytes: number) => ({ bytes, encoding: 'raw' as const });

describe('copying into Distribution', () => {
  it.each(['oci', 'docker'] as const)('keeps every byte of an odd %s index', async (format) => {
    const image = await makeIndex({
      seed: `index-${format}`,
      format,
      layers: [raw(300_000), 1000, 'empty'],
      sharedLayers: 1,
      childWithoutPlatform: true,
      json: 'odd',
    });
    const { copy, holds } = await world(`index-${format}`, image);
    const result = await copy();
    expect(result).toMatchObject({ digest: image.digest, skipped: false, bytes: image.bytes });
    await holds();
    faults.log.reset();
    expect(await copy()).toMatchObject({ skipped: true });
    expect(faults.log.requests().map(({ method, kind }) => [method, kind])).toEqual([['HEAD', 'manifest-tag']]);
  });

  it('leaves out platforms and keeps the index (sparse)', async () => {
    const image = await makeIndex({ seed: 'sparse', layers: [raw(1000)] });
    const { copy, target } = await world('sparse', image);
    const result = await copy({ wants: ({ platform }) => platform?.architecture === 'arm64' });
    expect(result.platforms.map(({ platform, state }) => `${platform} ${state}`)).toEqual([
      'linux/amd64 left',
      'linux/arm64 held',
    ]);
    expect((await target.openManifest('v1')).bytes.equals(image.root.bytes)).toBe(true);
    await expect(target.headManifest(image.platforms['linux/amd64']!)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('resumes a source that cuts, by Range', async () => {
    const image = await makeImage({ seed: 'cut', layers: [raw(12 * MiB)] });
    const { copy, holds } = await world('cut', image);
    faults
      .host(HUB)
      .on({ kind: 'blob', reference: image.blobs[1]!.digest })
      .cutAt(5 * MiB)
      .times(2);
    await copy();
    await holds();
    const ranges = faults.log.requests({ kind: 'blob' }).map(({ range }) => range);
    expect(ranges.filter((range) => range !== undefined)).toHaveLength(2);
    expect(faults.log.total({ kind: 'blob' }).bytes).toBeLessThan(14 * MiB);
  });

  it.each<[string, number, (rule: (kind: KindPattern, reference?: string) => FaultPicker, of: MadeImage) => unknown]>([
    ['the first byte of a layer, in one PUT', 1 * MiB, (on, of) => on('blob', of.blobs[1]!.digest).flip(0)],
    ['the last byte of a layer, in one PUT', 1 * MiB, (on, of) => on('blob', of.blobs[1]!.digest).flip(MiB - 1)],
    ['a byte of each part of a layer, in PATCHes', 20 * MiB, (on, of) => on('blob', of.blobs[1]!.digest).flip(1000)],
    ['a byte of the config', 1000, (on, of) => on('blob', of.blobs[0]!.digest).flip(5)],
    ['a byte of the manifest', 1000, (on) => on('manifest').flip(30)],
  ])('never commits wrong bytes: %s', async (what, size, arrange) => {
    const image = await makeImage({ seed: `wrong/${what}`, layers: [raw(size)] });
    const { copy, target } = await world(`wrong/${what.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`, image);
    const rule = (kind: KindPattern, reference?: string) =>
      faults.host(HUB).on({ kind, ...(reference === undefined ? {} : { reference }) });
    arrange(rule, image);
    await expect(copy({ chunkBytes: 6 * MiB })).rejects.toMatchObject({ code: 'digest-mismatch', retry: true });
    for (const reference of ['v1', image.digest])
      await expect(target.headManifest(reference)).rejects.toMatchObject({ code: 'not-found' });
    const held = await Promise.all(image.blobs.map(({ digest }) => target.headBlob(digest)));
    expect(held.every((blob) => blob !== undefined)).toBe(false);
    faults.host(HUB).clear();
    expect((await copy()).digest).toBe(image.digest);
  });

  it('sends a large blob in chunks', async () => {
    const image = await makeImage({ seed: 'chunks', layers: [raw(20 * MiB)] });
    const { copy, holds } = await world('chunks', image);
    const seen: number[] = [];
    await copy({ chunkBytes: 3 * MiB, onProgress: ({ bytesDone }) => seen.push(bytesDone) });
    await holds();
    expect(Math.max(...seen)).toBe(image.bytes - image.root.size);
  });

  it('goes on when the target is killed and restarted in mid-blob', async () => {
    const image = await makeImage({ seed: 'killed', layers: [raw(48 * MiB), raw(1 * MiB)] });
    const { copy, holds } = await world('killed', image);
    faults
      .host(HUB)
      .on({ kind: 'blob', reference: image.blobs[1]!.digest })
      .drip(24 * MiB);
    let done = 0;
    const running = copy({ onProgress: ({ bytesDone }) => (done = bytesDone), concurrency: 1 });
    await until(() => (done > 32 * MiB ? true : undefined), { timeoutMs: 20_000, what: '32 MiB to be sent' });
    await cache.writer.kill('SIGKILL');
    await cache.writer.restart();
    expect((await running).digest).toBe(image.digest);
    // Sent again from the start, the source would have been read for 80 MiB.
    expect(faults.log.total({ kind: 'blob' }).bytes).toBeLessThan(64 * MiB);
    await holds();
  });

  it('does not repeat the finished blobs of a copier that died', async () => {
    const image = await makeImage({ seed: 'died', layers: [raw(2 * MiB), raw(1 * MiB), raw(500_000)] });
    const { copy, holds } = await world('died', image);
    const stop = new AbortController();
    const first = copy({
      concurrency: 1,
      signal: stop.signal,
      onProgress: ({ blobsDone }) => void (blobsDone === 2 && stop.abort()),
    });
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    faults.log.reset();
    const result = await copy();
    expect(result.blobs.present).toBe(2);
    await holds();
    const bytes = faults.log.total({ kind: 'blob' }).bytes;
    expect(bytes).toBeLessThan(1 * MiB);
  });

  it('mounts what a sibling holds', async () => {
    const image = await makeImage({ seed: 'sibling', layers: [raw(2 * MiB)] });
    const { copy, sibling, target } = await world('sibling', image);
    await copy();
    faults.log.reset();
    const result = await copy({ target: sibling, turns: toldPlaces(() => [target.repository]) });
    // The config of an image was read on the way: it is sent, not mounted.
    const [config, ...layers] = image.blobs;
    expect(result.blobs).toMatchObject({ copied: 1, mounted: layers.length, present: 0 });
    expect(faults.log.requests({ kind: 'blob', method: 'GET' }).map(({ reference }) => reference)).toEqual([
      config!.digest,
    ]);
    const proofs = faults.log.requests({ kind: 'blob', method: 'HEAD' }).map(({ reference }) => reference);
    expect(proofs).toEqual(layers.map(({ digest }) => digest));
  });

  it('tells how long to wait when the source has had enough', async () => {
    const image = await makeImage({ seed: 'limited', layers: [raw(1000)] });
    const { copy } = await world('limited', image);
    faults.host(HUB).on({ kind: 'manifest', method: 'GET' }).rateLimited({ retryAfter: 90, limit: 100 });
    await expect(copy()).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 90_000 });
  });

  it('ends in time when the source stops sending for good', async () => {
    const image = await makeImage({ seed: 'stall', layers: [raw(3 * MiB)] });
    const { copy } = await world('stall', image, { upstream: { connectMs: 1000, headersMs: 300, idleMs: 300 } });
    faults.host(HUB).on({ kind: 'blob', reference: image.blobs[1]!.digest }).stallAfter(1000);
    await expect(copy()).rejects.toMatchObject({ code: 'timeout', retry: true });
  });
});
