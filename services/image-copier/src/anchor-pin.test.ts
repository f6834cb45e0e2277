import { beforeEach, describe, expect, it } from '@jest/globals';
import { anchorTag } from '@kuik/image';
import { copyImage, RegistryError, type RepositoryClient } from '@kuik/registry';
import { memoryRegistry, type MemoryRequest } from '@kuik/registry/memory';
import { makeIndex, type MadeImage } from '@kuik/testbed';
import { anchorPin } from './anchor-pin.ts';

const old = await makeIndex({ seed: 'old' });
const pin = { digest: old.digest, tag: anchorTag(old.digest) };
const signal = new AbortController().signal;

describe('anchorPin', () => {
  let fault: ((request: MemoryRequest) => void) | undefined;
  let registry: ReturnType<typeof memoryRegistry>;
  let source: RepositoryClient;
  let to: RepositoryClient;

  beforeEach(async () => {
    fault = undefined;
    registry = memoryRegistry({ intercept: (request) => fault?.(request) });
    source = registry.repository('up.test', 'app');
    to = registry.repository('cache.test', 'app');
    await push(old, 'v1');
  });

  async function push(image: MadeImage, tag: string): Promise<void> {
    for (const blob of image.blobs) registry.putBlob('up.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
    for (const { digest, bytes, mediaType } of image.manifests) await source.putManifest(digest, bytes, mediaType);
    await source.putManifest(tag, image.root.bytes, image.root.mediaType);
  }
  const anchor = (thorough = false) => anchorPin(pin, { source, to, thorough, concurrency: 2, signal });
  const copy = () => copyImage({ source, reference: 'v1', target: to, targetTag: 'v1' });
  const anchored = async () => (await to.headManifest(pin.tag)).digest;
  const asked = (host: string) => registry.requests.filter((request) => request.host === host);
  /** Upstream knows nothing of it any more, or answers nothing. */
  const upstream = (code: 'not-found' | 'server-error') => {
    fault = ({ host }) => {
      if (host === 'up.test') throw new RegistryError(code, 'upstream');
    };
  };

  it('takes what the cache holds, without a word to upstream', async () => {
    await copy();
    const before = asked('up.test').length;
    await anchor();
    expect(await anchored()).toBe(old.digest);
    expect(asked('up.test')).toHaveLength(before);
  });

  it('keeps it when the tag moves', async () => {
    await copy();
    await anchor();
    const now = await makeIndex({ seed: 'now' });
    await push(now, 'v1');
    await copy();
    expect((await to.headManifest('v1')).digest).toBe(now.digest);
    expect(await anchored()).toBe(old.digest);
  });

  it('copies what the cache does not hold', async () => {
    await anchor();
    expect(await anchored()).toBe(old.digest);
    for (const { digest } of old.blobs) expect(await to.headBlob(digest)).toBeDefined();
  });

  it('refills what the cache lost of it, when asked to look', async () => {
    await copy();
    const lost = old.blobs[0]!.digest;
    registry.dropBlob('cache.test', 'app', lost);
    await anchor();
    expect(await to.headBlob(lost)).toBeUndefined();
    await anchor(true);
    expect(await to.headBlob(lost)).toBeDefined();
  });

  it('is content with what the cache holds of what upstream deleted', async () => {
    await copy();
    registry.dropBlob('cache.test', 'app', old.blobs[0]!.digest);
    upstream('not-found');
    await anchor(true);
    expect(await anchored()).toBe(old.digest);
  });

  it.each(['not-found', 'server-error'] as const)('fails when nobody has it: %s', async (code) => {
    upstream(code);
    const failure = code === 'not-found' ? { code, name: 'PinMissing', digest: pin.digest } : { code };
    await expect(anchor()).rejects.toMatchObject(failure);
    await expect(anchored()).rejects.toMatchObject({ code: 'not-found' });
  });
});
