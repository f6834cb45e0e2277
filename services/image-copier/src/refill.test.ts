import { beforeEach, describe, expect, it } from '@jest/globals';
import { copyImage, RegistryError, type RepositoryClient } from '@kuik/registry';
import { memoryRegistry, type MemoryRequest } from '@kuik/registry/memory';
import { makeIndex, type MadeImage } from '@kuik/testbed';
import { refill } from './refill.ts';

const image = await makeIndex({ seed: 'refill' });
const other = await makeIndex({ seed: 'refill/moved' });
const signal = new AbortController().signal;

describe('refill', () => {
  let lacks: (request: MemoryRequest) => boolean;
  let registry: ReturnType<typeof memoryRegistry>;
  let source: RepositoryClient;
  let to: RepositoryClient;

  beforeEach(async () => {
    lacks = () => false;
    const intercept = (request: MemoryRequest): void => {
      if (lacks(request)) throw new RegistryError('not-found', 'gone');
    };
    registry = memoryRegistry({ intercept });
    source = registry.repository('up.test', 'app');
    to = registry.repository('cache.test', 'app');
    await push(image);
    await copyImage({ source, reference: 'v1', target: to, targetTag: 'v1' });
  });

  async function push({ blobs, manifests, root }: MadeImage): Promise<void> {
    for (const blob of blobs) registry.putBlob('up.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
    for (const { digest, bytes, mediaType } of manifests) await source.putManifest(digest, bytes, mediaType);
    await source.putManifest('v1', root.bytes, root.mediaType);
  }
  const run = (upstreamReference = 'v1', digest = image.digest) =>
    refill({
      to,
      tag: 'v1',
      digest,
      upstreamReference,
      copy: (reference, thorough) => copyImage({ source, reference, target: to, targetTag: 'v1', thorough }),
      signal,
    });
  const asked = () => registry.requests.filter(({ host }) => host === 'up.test').length;

  it('asks upstream for nothing while the cache lacks nothing, and tells what it holds', async () => {
    const before = asked();
    const found = await run();
    expect(asked()).toBe(before);
    expect(found).toMatchObject({ digest: image.digest, bytes: image.bytes, bytesCopied: 0 });
    expect(found.blobs).toMatchObject({ total: image.blobs.length, present: image.blobs.length, copied: 0 });
  });

  it('brings back a blob, and sends nothing else', async () => {
    const [lost] = image.blobs;
    registry.dropBlob('cache.test', 'app', lost!.digest);
    expect((await run()).bytesCopied).toBe(lost!.size);
    expect(await to.headBlob(lost!.digest)).toBeDefined();
  });

  it('brings back everything, as the digest that was there, although the tag has moved', async () => {
    await push(other);
    to = registry.repository('cache.test', 'emptied');
    const found = await run();
    expect(found).toMatchObject({
      digest: image.digest,
      bytesCopied: image.blobs.reduce((sum, { size }) => sum + size, 0),
    });
    expect((await to.headManifest('v1')).digest).toBe(image.digest);
  });

  it('puts the tag back when that alone is missing', async () => {
    await to.deleteTag('v1');
    await run();
    expect((await to.headManifest('v1')).digest).toBe(image.digest);
  });

  it('takes what the tag names now when upstream has forgotten the digest', async () => {
    await push(other);
    to = registry.repository('cache.test', 'emptied');
    lacks = ({ host, reference }) => host === 'up.test' && reference === image.digest;
    expect((await run()).digest).toBe(other.digest);
  });

  it('fails when a digest is all there is to ask for', async () => {
    to = registry.repository('cache.test', 'emptied');
    lacks = ({ host, reference }) => host === 'up.test' && reference === image.digest;
    await expect(run(image.digest)).rejects.toMatchObject({ code: 'not-found' });
  });
});
