import { describe, expect, it } from '@jest/globals';
import { indexOf, makeImage, makeIndex } from '@kuik/testbed';
import { RegistryError } from './errors.ts';
import { listedManifests } from './listed-manifests.ts';
import { memoryRegistry } from './memory.ts';

const HOST = 'cache.test';
const image = await makeImage({ seed: 'plain' });
const inner = await makeIndex({ seed: 'inner' });
const outer = indexOf([{ image }, { image: inner }]);
const children = inner.manifests.filter(({ digest }) => digest !== inner.digest).map(({ digest }) => digest);

describe('listedManifests', () => {
  const world = async (refuse: () => void = () => undefined) => {
    const registry = memoryRegistry({ intercept: ({ operation }) => void (operation === 'open-manifest' && refuse()) });
    const client = registry.repository(HOST, 'app');
    for (const { bytes, mediaType } of [inner.root, outer.root]) await client.putManifest('tag', bytes, mediaType);
    for (const blob of image.blobs) registry.putBlob(HOST, 'app', Buffer.concat([...blob.open()]), blob.digest);
    await client.putManifest(image.digest, image.root.bytes, image.root.mediaType);
    return client;
  };

  it('tells what an index lists, there or not, and indexes below it', async () => {
    const client = await world();
    expect(await listedManifests(client, inner.digest)).toEqual({ digests: children, complete: true });
    const digests = [image.digest, inner.digest, ...children];
    expect(await listedManifests(client, outer.digest)).toEqual({ digests, complete: true });
  });

  it('tells that an index below it is not there', async () => {
    const client = memoryRegistry().repository(HOST, 'app');
    await client.putManifest('tag', outer.root.bytes, outer.root.mediaType);
    const digests = [image.digest, inner.digest];
    expect(await listedManifests(client, outer.digest)).toEqual({ digests, complete: false });
  });

  it('tells none of an image, and that nothing is known of what is not there', async () => {
    const client = await world();
    expect(await listedManifests(client, image.digest)).toEqual({ digests: [], complete: true });
    expect(await listedManifests(client, children[0]!)).toBeUndefined();
  });

  it('tells what a manifest says that it is about', async () => {
    const client = memoryRegistry().repository(HOST, 'app');
    const put = async (subject: unknown) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], subject }));
      return listedManifests(client, await client.putManifest('signature', bytes, inner.root.mediaType));
    };
    const { digest } = image;
    const told = { digests: [], complete: true };
    expect(await put({ mediaType: image.root.mediaType, digest, size: 1 })).toEqual({ ...told, subject: digest });
    for (const subject of [undefined, null, digest, { digest: 'no' }]) expect(await put(subject)).toEqual(told);
  });

  it.each<[RegistryError['code'], number | undefined, unknown]>([
    ['rejected', undefined, { digests: [], complete: true }],
    ['rejected', 400, 'throws'],
    ['digest-mismatch', undefined, 'throws'],
    ['refused', undefined, 'throws'],
  ])('a manifest that is read as %s (status %s): %j', async (code, status, told) => {
    const client = await world(() => {
      throw new RegistryError(code, 'no', status === undefined ? {} : { status });
    });
    expect(await listedManifests(client, outer.digest).catch(() => 'throws')).toEqual(told);
  });
});
