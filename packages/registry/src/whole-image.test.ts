import { describe, expect, it } from '@jest/globals';
import { makeImage, makeIndex, type MadeImage } from '@kuik/testbed';
import { copyImage } from './copy.ts';
import { RegistryError } from './errors.ts';
import { memoryRegistry, type MemoryRequest } from './memory.ts';
import { platformOf } from './plan.ts';
import { holdsWholeImage, type LookOptions } from './whole-image.ts';

/** A copy of `image` in a registry; `lacks` decides which requests find nothing from then on. */
async function world(
  image: MadeImage,
  lacks: (request: MemoryRequest) => boolean = () => false,
  wants?: LookOptions['wants'],
) {
  let armed = false;
  const registry = memoryRegistry({
    intercept: (request) => {
      if (armed && lacks(request)) throw new RegistryError('not-found', 'gone', { status: 404 });
    },
  });
  const source = registry.repository('up.test', 'app');
  const client = registry.repository('cache.test', 'app');
  for (const blob of image.blobs) registry.putBlob('up.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
  for (const { digest, bytes, mediaType } of image.manifests) await source.putManifest(digest, bytes, mediaType);
  await source.putManifest('v1', image.root.bytes, image.root.mediaType);
  await copyImage({ source, reference: 'v1', target: client, targetTag: 'v1', wants });
  armed = true;
  return { registry, client };
}

const index = await makeIndex({ seed: 'whole', layers: [2000, 500], sharedLayers: 1, childWithoutPlatform: true });
const single = await makeImage({ seed: 'whole' });

describe('holdsWholeImage', () => {
  it.each([
    ['an index', index],
    ['a single image', single],
  ])('%s that is all there, without writing anything', async (_, image) => {
    const { registry, client } = await world(image);
    const asked = registry.requests.length;
    expect(await holdsWholeImage(client, image.digest)).toBe(true);
    const operations = new Set(registry.requests.slice(asked).map(({ operation }) => operation));
    expect([...operations].filter((operation) => /put|upload/.test(operation))).toEqual([]);
  });

  it.each(index.manifests.map(({ digest }) => digest))('lacks something without manifest %s', async (digest) => {
    const { client } = await world(index, ({ reference }) => reference === digest);
    expect(await holdsWholeImage(client, index.digest)).toBe(false);
  });

  it.each([...index.blobs, ...single.blobs].map(({ digest }) => digest))(
    'lacks something without blob %s',
    async (lost) => {
      const image = index.blobs.some(({ digest }) => digest === lost) ? index : single;
      const { registry, client } = await world(image);
      registry.dropBlob('cache.test', 'app', lost);
      expect(await holdsWholeImage(client, image.digest)).toBe(false);
    },
  );

  it('of one platform holds that and what attests it, and is not whole for all', async () => {
    const wants: LookOptions['wants'] = (child) => platformOf(child) === 'linux/arm64';
    const { registry, client } = await world(index, () => false, wants);
    expect(await holdsWholeImage(client, index.digest, { wants })).toBe(true);
    expect(await holdsWholeImage(client, index.digest)).toBe(false);
    for (const { digest } of index.blobs) {
      const had = await client.headBlob(digest);
      registry.dropBlob('cache.test', 'app', digest);
      expect(await holdsWholeImage(client, index.digest, { wants })).toBe(had === undefined);
      const { open } = index.blobs.find((blob) => blob.digest === digest)!;
      if (had !== undefined) registry.putBlob('cache.test', 'app', Buffer.concat([...open()]), digest);
    }
  });

  it('does not know when the registry cannot be asked', async () => {
    const { registry } = await world(single);
    const away = { ...registry.repository('cache.test', 'app') };
    away.openManifest = () => Promise.reject(new RegistryError('refused', 'away'));
    await expect(holdsWholeImage(away, single.digest)).rejects.toMatchObject({ code: 'refused' });
  });
});
