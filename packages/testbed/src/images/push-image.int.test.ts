import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { raw } from '../faults/raw-client.fixture.ts';
import type { UpstreamRegistry } from '../port.ts';
import { startUpstreamRegistry } from '../stack/upstream-registry.ts';
import { indexOf, makeArtifact, makeImage, makeIndex, pushImage, pushReferrer } from './index.ts';

let registry: UpstreamRegistry;

beforeAll(async () => {
  registry = await startUpstreamRegistry();
});
afterAll(() => registry.stop());

describe('pushing', () => {
  it('by digest and by every tag, and tells what there is now', async () => {
    const image = await makeIndex({ seed: 'push', layers: [1_000, 2_000], sharedLayers: 1 });
    const pushed = await pushImage(registry.url, 'direct/app', ['a', 'b'], image);
    expect(pushed).toMatchObject({ digest: image.digest, platforms: image.platforms, bytes: image.bytes });
    for (const tag of pushed.tags) {
      const got = await raw(`${registry.url}/v2/direct/app/manifests/${tag}`, {
        headers: { accept: image.root.mediaType },
      });
      expect(digestOf(got.body)).toBe(image.digest);
    }
  });

  it('nested indexes and foreign layers are accepted', async () => {
    const inner = await makeIndex({ seed: 'inner', layers: [{ bytes: 10, urls: ['https://far.example.test/layer'] }] });
    const outer = indexOf([
      { image: inner },
      { image: await makeImage({ seed: 'beside' }), platform: { os: 'linux', architecture: 's390x' } },
    ]);
    expect((await pushImage(registry.url, 'nested/app', ['1'], outer)).digest).toBe(outer.digest);
  });

  it('a 64 MiB layer is streamed', async () => {
    const image = await makeImage({ seed: 'large', layers: [64 << 20] });
    await pushImage(registry.url, 'large/app', ['1'], image);
    const layer = image.blobs.at(-1)!;
    const head = await raw(`${registry.url}/v2/large/app/blobs/${layer.digest}`, { method: 'HEAD' });
    expect(head.headers['content-length']).toBe(String(layer.size));
  });

  it('referrers grow a fallback index', async () => {
    const image = await makeImage({ seed: 'signed' });
    await pushImage(registry.url, 'signed/app', ['1'], image);
    for (const seed of ['one', 'two', 'two']) {
      await pushReferrer(registry.url, 'signed/app', image.root, await makeArtifact({ seed, subject: image.root }));
    }
    const tag = image.digest.replace(':', '-');
    const got = await raw(`${registry.url}/v2/signed/app/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    expect((JSON.parse(got.body.toString()) as { manifests: unknown[] }).manifests).toHaveLength(2);
  });

  it("a refusal carries the registry's own words", async () => {
    const image = await makeImage({ seed: 'x' });
    const without = { ...image, blobs: image.blobs.slice(1) };
    await expect(pushImage(registry.url, 'refused/app', ['1'], without)).rejects.toThrow(
      /cannot put manifest sha256:.* in \/v2\/refused\/app\/: HTTP 400 .*MANIFEST_BLOB_UNKNOWN/,
    );
  });
});
