import { describe, expect, it } from '@jest/globals';
import { makeImage, makeIndex, type MadeImage } from '@kuik/testbed';
import { copyImage, describeImage, type CopyOptions, type CopyProgress } from './copy.ts';
import { RegistryError } from './errors.ts';
import { memoryRegistry, type MemoryRequest } from './memory.ts';
import { platformOf } from './plan.ts';
import type { RepositoryClient, Upload } from './port.ts';
import { toldPlaces } from './testing/told-places.ts';

async function push(client: RepositoryClient, image: MadeImage, tag: string): Promise<void> {
  for (const blob of image.blobs) {
    const answer = await client.startUpload();
    if (answer.mounted) throw new Error('mounted');
    const bytes = Buffer.concat([...blob.open()]);
    await answer.upload.putWhole(
      async (sink) => void (bytes.length > 0 && (await sink(bytes))),
      bytes.length,
      blob.digest,
    );
  }
  for (const manifest of image.manifests) await client.putManifest(manifest.digest, manifest.bytes, manifest.mediaType);
  await client.putManifest(tag, image.root.bytes, image.root.mediaType);
}

async function world(image: MadeImage, intercept?: (request: MemoryRequest) => void) {
  let armed = false;
  const registry = memoryRegistry({ intercept: (request) => void (armed && intercept?.(request)) });
  const source = registry.repository('up.test', 'team/app');
  const target = registry.repository('cache.test', 'up.test/team/app');
  await push(source, image, 'v1');
  armed = true;
  const copy = (options: Partial<CopyOptions> = {}) =>
    copyImage({ source, target, reference: 'v1', targetTag: 'v1', ...options });
  const since = (at: number, host: string) =>
    registry.requests
      .slice(at)
      .filter((request) => request.host === host)
      .map(({ operation, reference }) => `${operation} ${reference ?? ''}`.trim());
  return { registry, source, target, copy, since, mark: () => registry.requests.length };
}

const index = await makeIndex({
  seed: 'copy',
  layers: [2000, 500],
  sharedLayers: 1,
  childWithoutPlatform: true,
  json: 'odd',
});

describe('copyImage', () => {
  it('copies an index with all its children, byte for byte', async () => {
    const { target, copy } = await world(index);
    const result = await copy();
    expect(result).toMatchObject({
      digest: index.digest,
      mediaType: index.root.mediaType,
      skipped: false,
      bytes: index.bytes,
    });
    expect(result.platforms).toEqual([
      { platform: 'linux/amd64', digest: index.platforms['linux/amd64'], state: 'held' },
      { platform: 'linux/arm64', digest: index.platforms['linux/arm64'], state: 'held' },
    ]);
    expect(result.blobs).toEqual({ total: index.blobs.length, copied: index.blobs.length, mounted: 0, present: 0 });
    for (const manifest of index.manifests) {
      expect((await target.openManifest(manifest.digest)).bytes.equals(manifest.bytes)).toBe(true);
    }
    for (const blob of index.blobs) expect(await target.headBlob(blob.digest)).toEqual({ size: blob.size });
  });

  it('is done in two requests when the target has it', async () => {
    const { copy, mark, since } = await world(index);
    await copy();
    const at = mark();
    expect(await copy()).toMatchObject({ skipped: true, digest: index.digest });
    expect(since(at, 'up.test')).toEqual(['head-manifest v1']);
    expect(since(at, 'cache.test')).toEqual(['head-manifest v1']);
  });

  it('asks for no more than it needs', async () => {
    const { copy, mark, since } = await world(index);
    const at = mark();
    await copy();
    const [blobs, manifests] = [index.blobs.length, index.manifests.length];
    // The source: each manifest and blob once. The target: is the tag there; a session and its bytes for each blob; manifests, the root under its tag.
    expect(since(at, 'up.test')).toHaveLength(manifests + blobs);
    expect(since(at, 'cache.test')).toHaveLength(1 + blobs + manifests);
    expect(since(at, 'cache.test').filter((line) => line.startsWith('head-blob'))).toEqual([]);
  });

  it('resolves a tag that moved before it reads', async () => {
    const moved = await makeImage({ seed: 'moved' });
    const { copy, source, mark, since } = await world(index);
    await copy();
    await push(source, moved, 'v1');
    const at = mark();
    expect(await copy()).toMatchObject({ digest: moved.digest, skipped: false });
    expect(since(at, 'up.test').slice(0, 2)).toEqual(['head-manifest v1', `open-manifest ${moved.digest}`]);
  });

  it('asks the source for nothing when a digest is already there', async () => {
    const { copy, mark, since } = await world(index);
    await copy({ reference: index.digest, targetTag: 'anchor' });
    const at = mark();
    expect(await copy({ reference: index.digest, targetTag: 'anchor' })).toMatchObject({ skipped: true });
    expect(since(at, 'up.test')).toEqual([]);
  });

  it('writes blobs, then children, then the root, the tag last', async () => {
    const { copy, mark, since } = await world(index);
    const at = mark();
    await copy();
    const writes = since(at, 'cache.test').filter(
      (line) => line.startsWith('put-manifest') || line.startsWith('upload'),
    );
    const puts = writes.slice(writes.findIndex((line) => line.startsWith('put-manifest')));
    expect(puts.every((line) => line.startsWith('put-manifest'))).toBe(true);
    const below = index.manifests.filter(({ digest }) => digest !== index.digest);
    expect(puts).toEqual([...below.map(({ digest }) => `put-manifest ${digest}`), 'put-manifest v1']);
    expect(since(at, 'cache.test').at(-1)).toBe('put-manifest v1');
  });

  it('copies wanted platforms with what attests them only, keeps the index whole, and what belongs to no platform', async () => {
    const { target, copy } = await world(index);
    const result = await copy({ wants: (child) => platformOf(child) === 'linux/arm64' });
    expect(result.digest).toBe(index.digest);
    expect(result.platforms.map(({ platform, state }) => [platform, state])).toEqual([
      ['linux/amd64', 'left'],
      ['linux/arm64', 'held'],
    ]);
    expect((await target.openManifest('v1')).bytes.equals(index.root.bytes)).toBe(true);
    await expect(target.headManifest(index.platforms['linux/amd64']!)).rejects.toMatchObject({ code: 'not-found' });
    const [unnamed, ofAmd64, ofArm64] = index.manifests
      .filter(({ digest }) => digest !== index.digest && !Object.values(index.platforms).includes(digest))
      .map(({ digest }) => digest);
    for (const kept of [unnamed!, ofArm64!]) expect((await target.headManifest(kept)).digest).toBe(kept);
    await expect(target.headManifest(ofAmd64!)).rejects.toMatchObject({ code: 'not-found' });
    expect(result.bytes).toBeLessThan(index.bytes);
  });

  it('goes through everything again when asked to be thorough', async () => {
    const { registry, target, copy } = await world(index);
    await copy({ wants: (child) => platformOf(child) === 'linux/arm64' });
    const lost = index.blobs[0]!.digest;
    registry.dropBlob('cache.test', 'up.test/team/app', lost);
    const result = await copy({ thorough: true });
    expect(result.platforms.every(({ state }) => state === 'held')).toBe(true);
    expect(result.blobs.present).toBeGreaterThan(0);
    expect(await target.headBlob(lost)).toBeDefined();
  });

  it('notes a child that the source itself lacks', async () => {
    const absent = index.platforms['linux/amd64']!;
    const { copy } = await world(index, ({ host, reference }) => {
      if (host === 'up.test' && reference === absent) throw new RegistryError('not-found', 'gone', { status: 404 });
    });
    const result = await copy();
    expect(result.platforms.find(({ digest }) => digest === absent)?.state).toBe('absent');
  });

  it('does not send again what is there, and mounts from a sibling', async () => {
    const image = await makeImage({ seed: 'mount', layers: [3000, 2000, 1000] });
    const { registry, copy } = await world(image);
    const [config, first, second] = image.blobs;
    const bytes = (at: typeof first) => Buffer.concat([...at!.open()]);
    registry.putBlob('cache.test', 'other/app', bytes(first), first!.digest);
    registry.putBlob('cache.test', 'up.test/team/app', bytes(second), second!.digest);
    const places = new Map([
      [config!.digest, ['nobody/has-it']],
      [first!.digest, ['other/app']],
    ]);
    const result = await copy({ turns: toldPlaces((digest) => places.get(digest) ?? []) });
    expect(result.blobs).toEqual({ total: 4, copied: 2, mounted: 1, present: 1 });
    expect(result.bytesCopied).toBe(image.bytes - image.root.size - first!.size - second!.size);
  });

  it('brings layers in parallel, the largest first', async () => {
    const image = await makeImage({ seed: 'parallel', layers: [1000, 4000, 2000, 5000, 3000] });
    const { source, copy } = await world(image);
    const sizes = new Map(image.blobs.slice(1).map(({ digest, size }) => [digest, size]));
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    const watched: RepositoryClient = {
      ...source,
      async openBlob(digest, request) {
        const size = sizes.get(digest);
        if (size !== undefined) begun.push(size);
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return source.openBlob(digest, request);
      },
    };
    await copy({ source: watched });
    expect(begun).toEqual([...sizes.values()].sort((a, b) => b - a));
    expect(most).toBe(3);
  });

  it('reads a config once', async () => {
    const image = await makeImage({ seed: 'config', platform: 'linux/arm/v7' });
    const { copy, mark, since } = await world(image);
    const at = mark();
    const result = await copy();
    expect(result.platforms).toEqual([{ platform: 'linux/arm/v7', digest: image.digest, state: 'held' }]);
    const reads = since(at, 'up.test').filter((line) => line.startsWith('open-blob'));
    expect(new Set(reads).size).toBe(reads.length);
  });

  it('reports progress that ends at the whole', async () => {
    const { copy } = await world(index);
    const seen: CopyProgress[] = [];
    await copy({ onProgress: (progress) => seen.push(progress), chunkBytes: 300 });
    const bytesTotal = index.blobs.reduce((sum, { size }) => sum + size, 0);
    expect(seen[0]).toEqual({ bytesDone: 0, bytesTotal, blobsDone: 0, blobsTotal: index.blobs.length });
    expect(seen.at(-1)).toEqual({
      bytesDone: bytesTotal,
      bytesTotal,
      blobsDone: index.blobs.length,
      blobsTotal: index.blobs.length,
    });
    expect(seen.every(({ bytesDone }, at) => at === 0 || bytesDone >= seen[at - 1]!.bytesDone)).toBe(true);
  });

  it('sends no chunk shorter than the registry takes, but the last one', async () => {
    const image = await makeImage({ seed: 'chunk-min', layers: [{ bytes: 2_500, encoding: 'raw' }] });
    const { copy, target } = await world(image);
    const lengths: number[] = [];
    const picky: RepositoryClient = {
      ...target,
      async startUpload(options) {
        const answer = await target.startUpload(options);
        if (answer.mounted) return answer;
        const { upload } = answer;
        const write: Upload['write'] = (source, offset, length, signal) => {
          lengths.push(length);
          return upload.write(source, offset, length, signal);
        };
        const rest = { putWhole: upload.putWhole.bind(upload), commit: upload.commit.bind(upload) };
        const ends = {
          offset: upload.offset.bind(upload),
          abort: upload.abort.bind(upload),
          location: upload.location,
        };
        return { mounted: false, upload: { ...rest, ...ends, write, chunkMinBytes: 1_000 } };
      },
    };
    await copy({ target: picky, chunkBytes: 300 });
    expect(lengths).toEqual([1_000, 1_000, 500]);
  });

  it('leaves no tag behind when a blob cannot be had', async () => {
    const { copy, target, mark, since } = await world(index, ({ host, operation, reference }) => {
      if (host === 'up.test' && operation === 'open-blob' && reference === index.blobs.at(-1)!.digest) {
        throw new RegistryError('not-found', 'gone', { status: 404 });
      }
    });
    const at = mark();
    await expect(copy()).rejects.toMatchObject({ code: 'not-found' });
    expect(since(at, 'cache.test').filter((line) => line.startsWith('put-manifest'))).toEqual([]);
    await expect(target.headManifest('v1')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('tells the failure that came first, not the aborts that it caused', async () => {
    const { copy } = await world(index, ({ host, operation }) => {
      if (host === 'up.test' && operation === 'open-blob')
        throw new RegistryError('rate-limited', 'slow down', { retryAfterMs: 60_000 });
    });
    await expect(copy()).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 60_000 });
  });

  it('reads the config of an image that was begun before from the target', async () => {
    const image = await makeImage({ seed: 'begun' });
    const { copy, mark, since } = await world(image);
    await copy({ targetTag: 'other' });
    const fromSource = async (begun: boolean): Promise<number> => {
      const at = mark();
      await copy({ targetTag: `again-${begun}`, begun });
      return since(at, 'up.test').filter((line) => line.startsWith('open-blob')).length;
    };
    expect([await fromSource(false), await fromSource(true)]).toEqual([1, 0]);
  });

  it('stops when the caller does', async () => {
    const stop = new AbortController();
    const { copy } = await world(index, ({ operation }) => void (operation === 'open-blob' && stop.abort()));
    await expect(copy({ signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('describeImage', () => {
  it('tells from the target alone what a copy holds', async () => {
    const { target, copy, mark, since } = await world(index);
    const wants = (child: Parameters<NonNullable<CopyOptions['wants']>>[0]) => platformOf(child) === 'linux/arm64';
    const copied = await copy({ wants });
    const at = mark();
    const { digest, mediaType, bytes, platforms, manifests } = copied;
    const blobs = { total: copied.blobs.total, copied: 0, mounted: 0, present: copied.blobs.total };
    expect(blobs.total).toBeGreaterThan(0);
    expect(await describeImage(target, 'v1', { wants })).toEqual({
      digest,
      mediaType,
      bytes,
      blobs,
      platforms,
      manifests,
    });
    expect(manifests).toContain(index.platforms['linux/arm64']);
    expect(manifests).not.toContain(index.platforms['linux/amd64']);
    // That of no platform is the other one: what attests linux/arm64 is there, and not told.
    expect(manifests).toHaveLength(2);
    expect(since(at, 'up.test')).toEqual([]);
  });
});
