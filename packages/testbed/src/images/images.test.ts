import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { makeArtifact, makeImage, makeIndex } from './make-image.ts';
import { indexOf, type MadeImage } from './image.ts';
import { makeLayer } from './layer.ts';
import { seededBytes } from './seeded-bytes.ts';
import { MEDIA_TYPES } from './media-types.ts';

interface Index {
  manifests: {
    digest: string;
    platform?: { os: string; architecture: string; variant?: string };
    annotations?: Record<string, string>;
  }[];
}
const json = <T>(image: MadeImage): T => JSON.parse(image.root.bytes.toString()) as T;
const collect = (chunks: Iterable<Buffer>): Buffer => Buffer.concat([...chunks]);

describe('seeded bytes', () => {
  it('are the same for the same seed, and a longer stream begins with the shorter one', () => {
    const long = collect(seededBytes('a', 3_000_000));
    expect(long.length).toBe(3_000_000);
    expect(collect(seededBytes('a', 1_500_000)).equals(long.subarray(0, 1_500_000))).toBe(true);
    expect(collect(seededBytes('b', 100)).equals(long.subarray(0, 100))).toBe(false);
  });

  it('never change: published digests depend on them', () => {
    expect(
      createHash('sha256')
        .update(collect(seededBytes('kuik', 4096)))
        .digest('hex'),
    ).toBe('f257106d2b025ee8e7cdb00e145e4ad7ae5a8925187af62bac9f57a840349e82');
  });
});

describe('layers', () => {
  it.each([
    ['gzip', (bytes: Buffer) => gunzipSync(bytes)],
    ['zstd', (bytes: Buffer) => zstdDecompressSync(bytes)],
    ['tar', (bytes: Buffer) => bytes],
  ] as const)('%s: a real tar of one file, whatever its size', async (encoding, unpack) => {
    for (const bytes of [0, 1, 512, 513, 65_535, 65_536, 2_200_000]) {
      const layer = await makeLayer({ bytes, encoding }, 's');
      const blob = collect(layer.open());
      expect(digestOf(blob)).toBe(layer.digest);
      expect(blob.length).toBe(layer.size);
      const tar = unpack(blob);
      expect(digestOf(tar)).toBe(layer.diffId);
      expect(tar.length % 512).toBe(0);
      const content = execFileSync('tar', ['-xOf', '-'], { input: tar, maxBuffer: 4_000_000 });
      expect(content.equals(collect(seededBytes('s', bytes)))).toBe(true);
    }
  });

  it('raw: exactly the bytes asked for', async () => {
    const layer = await makeLayer({ bytes: 1024, encoding: 'raw' }, 's');
    expect(layer.size).toBe(1024);
    expect(collect(layer.open()).length).toBe(1024);
  });

  it('empty: the layer that Docker always wrote', async () => {
    const layer = await makeLayer('empty', 'whatever');
    expect(layer.digest).toBe('sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4');
    expect(digestOf(gunzipSync(collect(layer.open())))).toBe(layer.diffId);
  });

  it.each([-1, 1.5, Number.NaN])('refuses %p bytes', async (bytes) => {
    await expect(makeLayer(bytes, 's')).rejects.toThrow(/whole number of bytes/);
  });
});

describe('images', () => {
  it('follow from the seed alone', async () => {
    const options = { seed: 'shop', layers: [1024, 2048] };
    expect((await makeImage(options)).digest).toBe((await makeImage(options)).digest);
    expect((await makeImage({ seed: 'kuik' })).digest).toBe(
      'sha256:f060772b51f315d2ebb23e907379e73cec0a5bbed05f570c261f288cec40ffd1',
    );
    const other = await makeImage({ ...options, seed: 'shop2' });
    const shared = (await makeImage(options)).blobs.filter(({ digest }) =>
      other.blobs.some((blob) => blob.digest === digest),
    );
    expect(shared).toEqual([]);
  });

  it.each(['compact', 'pretty', 'odd'] as const)(
    'JSON written %s is the same document with a digest over its own bytes',
    async (style) => {
      const image = await makeImage({ seed: 's', json: style });
      expect(digestOf(image.root.bytes)).toBe(image.digest);
      expect(json(image)).toEqual(json(await makeImage({ seed: 's' })));
      expect(image.root.bytes.equals(Buffer.from(JSON.stringify(json(image))))).toBe(style === 'compact');
    },
  );

  it.each(['oci', 'docker'] as const)('%s: config and layers carry the media types of the format', async (format) => {
    const manifest = json<{ mediaType: string; config: { mediaType: string }; layers: { mediaType: string }[] }>(
      await makeImage({
        seed: 's',
        format,
        layers: [1, { bytes: 1, encoding: 'zstd' }, { bytes: 1, urls: ['https://far.example.test/x'] }],
      }),
    );
    expect(manifest.mediaType).toBe(MEDIA_TYPES[format].manifest);
    expect(manifest.config.mediaType).toBe(MEDIA_TYPES[format].config);
    expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual(
      format === 'oci'
        ? [
            'application/vnd.oci.image.layer.v1.tar+gzip',
            'application/vnd.oci.image.layer.v1.tar+zstd',
            'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
          ]
        : [
            'application/vnd.docker.image.rootfs.diff.tar.gzip',
            'application/vnd.docker.image.rootfs.diff.tar.zstd',
            'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          ],
    );
  });

  it('a foreign layer is named but has no bytes to push', async () => {
    const image = await makeImage({ seed: 's', layers: [{ bytes: 10, urls: ['https://far.example.test/x'] }] });
    expect(image.blobs).toHaveLength(1);
  });

  it('refuses a platform that is none', async () => {
    await expect(makeImage({ seed: 's', platform: 'a/b/c/d' })).rejects.toThrow(/no platform/);
  });
});

describe('indexes', () => {
  it('hold amd64 and arm64, each with an attestation that names it', async () => {
    const image = await makeIndex({ seed: 'multi' });
    const { manifests } = json<Index>(image);
    expect(manifests.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64', 'unknown', 'unknown']);
    expect(manifests.slice(2).map(({ annotations }) => annotations?.['vnd.docker.reference.digest'])).toEqual(
      manifests.slice(0, 2).map(({ digest }) => digest),
    );
    expect(image.platforms).toEqual({ 'linux/amd64': manifests[0]?.digest, 'linux/arm64': manifests[1]?.digest });
    expect(image.manifests.at(-1)).toBe(image.root);
    expect(image.manifests).toHaveLength(5);
  });

  it('share the leading layers that are asked to be shared', async () => {
    const layers = [1000, 2000];
    const apart = await makeIndex({ seed: 'm', layers, attestation: false });
    const shared = await makeIndex({ seed: 'm', layers, attestation: false, sharedLayers: 1 });
    expect([apart.blobs.length, shared.blobs.length]).toEqual([6, 5]);
  });

  it('docker: a manifest list without attestations, variants kept', async () => {
    const image = await makeIndex({ seed: 'm', format: 'docker', platforms: ['linux/arm/v7'] });
    expect(image.root.mediaType).toBe(MEDIA_TYPES.docker.index);
    expect(json<Index>(image).manifests.map(({ platform }) => platform)).toEqual([
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ]);
  });

  it('may hold a child without platform, and an index', async () => {
    const inner = await makeIndex({ seed: 'inner', childWithoutPlatform: true, attestation: false });
    expect(json<Index>(inner).manifests.at(-1)).not.toHaveProperty('platform');
    const outer = indexOf([{ image: inner }]);
    expect(json<Index>(outer).manifests).toEqual([
      { mediaType: MEDIA_TYPES.oci.index, digest: inner.digest, size: inner.root.size },
    ]);
    expect(outer.platforms).toEqual(inner.platforms);
    expect(outer.manifests.map(({ digest }) => digest)).toEqual([
      ...inner.manifests.map(({ digest }) => digest),
      outer.digest,
    ]);
  });

  it('artifacts name their subject', async () => {
    const image = await makeImage({ seed: 's' });
    const artifact = json<{ subject: object; artifactType: string }>(
      await makeArtifact({ seed: 'sig', subject: image.root }),
    );
    expect(artifact.subject).toEqual({ mediaType: image.root.mediaType, digest: image.digest, size: image.root.size });
    expect(artifact.artifactType).toBe('application/vnd.example.signature.v1');
  });
});
