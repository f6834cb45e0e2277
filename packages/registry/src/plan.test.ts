import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { blobsToCopy, isBlobDescriptor, platformOf, readManifest, type Descriptor } from './plan.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const part = (name: string, size = 10, mediaType = LAYER): Descriptor => ({ mediaType, digest: digestOf(name), size });
const read = (json: unknown, mediaType = '') =>
  readManifest({
    bytes: Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)),
    mediaType,
    digest: 'sha256:d',
  });

describe('readManifest', () => {
  it('reads an image: config first, then layers', () => {
    const content = read({ schemaVersion: 2, mediaType: DOCKER, config: part('c'), layers: [part('a'), part('b')] });
    expect(content.kind).toBe('image');
    expect(content.mediaType).toBe(DOCKER);
    expect(content.blobs.map(({ digest }) => digest)).toEqual(['c', 'a', 'b'].map((name) => digestOf(name)));
  });

  it('reads an index: every child, with or without platform', () => {
    const platform = { os: 'linux', architecture: 'arm', variant: 'v7', 'os.features': ['x'] };
    const content = read({ schemaVersion: 2, manifests: [{ ...part('a'), platform }, part('b')] }, INDEX);
    expect([content.kind, content.mediaType]).toEqual(['index', INDEX]);
    expect(content.children.map(platformOf)).toEqual(['linux/arm/v7', undefined]);
  });

  it('reads an artifact manifest, and fields it never heard of', () => {
    const content = read({
      mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
      blobs: [part('a')],
      fancy: { new: true },
    });
    expect(content.mediaType).toBe('application/vnd.oci.artifact.manifest.v1+json');
    expect(content.blobs).toHaveLength(1);
  });

  it.each([
    [{ mediaType: INDEX, manifests: [] }, 'application/octet-stream', INDEX],
    [{ manifests: [] }, INDEX, INDEX],
    [{ manifests: [] }, 'application/octet-stream', INDEX],
    [{ layers: [] }, '', IMAGE],
    [{ layers: [] }, 'not a type', IMAGE],
    [{ layers: [], mediaType: 'a/b\r\nX: y' }, '', IMAGE],
  ])('%j said to be "%s" is %s', (json, stated, mediaType) => {
    expect(read(json, stated).mediaType).toBe(mediaType);
  });

  it.each([
    ['not json', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    [{ schemaVersion: 1 }, 'schema 1'],
    [{ manifests: [], layers: [] }, 'index and an image at once'],
    [{ manifests: [], config: part('c') }, 'index and an image at once'],
    [{ layers: 'many' }, 'layers is not a list'],
    [{ layers: [{ size: 1 }] }, 'layers[0] has no digest'],
    [{ layers: [{ ...part('a'), digest: 'sha256:../../x' }] }, 'layers[0] has no digest'],
    [{ layers: [part('a'), { ...part('b'), size: -1 }] }, 'layers[1] has no size'],
    [{ layers: [], config: { ...part('c'), size: 1.5 } }, 'config has no size'],
  ])('refuses %j', (json, why) => {
    expect(() => read(json)).toThrow(
      expect.objectContaining({ code: 'rejected', message: expect.stringContaining(why) }),
    );
  });

  it('refuses schema 1 by its type', () => {
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    expect(() => read({ name: 'a', tag: 'b' }, type)).toThrow('schema 1');
  });
});

describe('platformOf', () => {
  it('has none for an attestation', () => {
    expect(platformOf({ ...part('a'), platform: { os: 'unknown', architecture: 'unknown' } })).toBeUndefined();
  });
});

describe('isBlobDescriptor', () => {
  it.each([
    [LAYER, true],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', true],
    ['application/vnd.buildkit.cacheconfig.v0', true],
    ['application/vnd.oci.image.config.v1+json', true],
    ['application/vnd.docker.container.image.v1+json', true],
    [IMAGE, false],
    [INDEX, false],
    [DOCKER, false],
    ['application/vnd.example.unknown', false],
    ['', false],
  ])('%s: %s', (mediaType, isBlob) => {
    expect(isBlobDescriptor(part('a', 1, mediaType))).toBe(isBlob);
  });
});

describe('blobsToCopy', () => {
  it('takes each digest once, largest first', () => {
    const blobs = [part('small', 1), part('large', 100), part('middle', 50), part('large', 100)];
    expect(blobsToCopy(blobs).map(({ size }) => size)).toEqual([100, 50, 1]);
  });

  it('leaves foreign layers with URLs to them, and takes those without', () => {
    const type = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const oci = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
    const blobs = [
      { ...part('a', 1, type), urls: ['https://mcr.test/a'] },
      { ...part('b', 1, oci), urls: ['https://mcr.test/b'] },
      part('c', 1, type),
      { ...part('d', 1), urls: ['https://elsewhere.test/d'] },
    ];
    expect(
      blobsToCopy(blobs)
        .map(({ digest }) => digest)
        .sort(),
    ).toEqual([digestOf('c'), digestOf('d')].sort());
  });
});
