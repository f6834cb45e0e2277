import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cosignTags, digestOf, referrersTag } from '@kuik/image';
import {
  imageOf,
  indexOf,
  makeArtifact,
  makeImage,
  makeIndex,
  MEDIA_TYPES,
  pushImage,
  pushReferrer,
  startUpstreamRegistry,
  type MadeImage,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { createRegistryAccess } from './access.ts';
import { copyImage, type CopyOptions } from './copy.ts';
import { ReferrersRound } from './copy-referrers.ts';
import { readBlob } from './open-blob.ts';
import { taggedReferrers } from './referrers.ts';
import { holdsWholeImage } from './whole-image.ts';

const LAYER = Buffer.from('bytes that no registry may hold');
const anonymous = { credentials: () => Promise.resolve([]) };

let from: UpstreamRegistry;
let to: UpstreamRegistry;
let strict: UpstreamRegistry;
/** Where foreign layers are; what it was sent. */
let elsewhere: Server;
let host: string;
const asked: (string | undefined)[] = [];
beforeAll(async () => {
  [from, to, strict] = await Promise.all([
    startUpstreamRegistry(),
    startUpstreamRegistry(),
    startUpstreamRegistry({ wholeIndexes: true }),
  ]);
  elsewhere = createServer((request, response) => {
    asked.push(request.headers.authorization);
    if (request.url === '/secret') response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else response.end(request.url === '/wrong' ? Buffer.from(LAYER).fill('x') : LAYER);
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
});
beforeEach(() => void asked.splice(0));
afterAll(async () => {
  elsewhere.close();
  await Promise.all([from.stop(), to.stop(), strict.stop()]);
});

let images = 0;
async function world(image: MadeImage, target: UpstreamRegistry, registries: object = {}) {
  const repository = `carried/${(images += 1)}`;
  const endpoint = { plainHTTP: true, allowPrivate: true };
  const access = createRegistryAccess({ registries: { [from.host]: endpoint, ...registries } });
  const cacheOf = (url: string) => access.cache({ url }, repository);
  await push(cacheOf(from.url), image);
  const source = access.upstream(from.host, repository, anonymous);
  const cache = cacheOf(target.url);
  const copy = (more: Partial<CopyOptions> = {}) =>
    copyImage({ source, target: cache, reference: 'v1', targetTag: 'v1', ...more });
  const foreignLayer: CopyOptions['foreignLayer'] = (blob) => access.foreignLayer(blob);
  const upstream = { client: cacheOf(from.url), repository };
  return { access, cache, copy, foreignLayer, source, upstream };
}

async function push(client: CopyOptions['target'], image: MadeImage): Promise<void> {
  for (const blob of image.blobs) {
    const answer = await client.startUpload();
    if (answer.mounted) throw new Error('mounted');
    const bytes = Buffer.concat([...blob.open()]);
    const send: Parameters<typeof answer.upload.putWhole>[0] = async (sink) => void (await sink(bytes));
    await answer.upload.putWhole(send, bytes.length, blob.digest);
  }
  for (const { digest, bytes, mediaType } of image.manifests) await client.putManifest(digest, bytes, mediaType);
  await client.putManifest('v1', image.root.bytes, image.root.mediaType);
}

const foreignImage = (urls: readonly string[], mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar') =>
  imageOf({
    format: mediaType.includes('docker') ? 'docker' : 'oci',
    json: 'odd',
    config: { bytes: Buffer.from('{}'), mediaType: MEDIA_TYPES.oci.config },
    layers: [{ mediaType, digest: digestOf(LAYER), size: LAYER.length, urls }],
  });

const odd = (mediaType: string): MadeImage => {
  const bytes = Buffer.from(`what ${mediaType} is`);
  return imageOf({
    format: 'oci',
    json: 'odd',
    config: { bytes: Buffer.from('{"not":"a config"}'), mediaType: 'application/vnd.acme.config+json' },
    layers: [{ mediaType, digest: digestOf(bytes), size: bytes.length, open: () => [bytes] }],
    artifactType: 'application/vnd.acme.thing',
    annotations: { 'org.acme': 'kept' },
  });
};

describe('what is carried, not converted', () => {
  const made: [string, () => Promise<MadeImage>][] = [
    ['a Docker schema 2 manifest', () => makeImage({ seed: 'c1', format: 'docker', json: 'pretty' })],
    ['a Docker manifest list', () => makeIndex({ seed: 'c2', format: 'docker', json: 'odd' })],
    ['an OCI index with attestations', () => makeIndex({ seed: 'c3', json: 'odd' })],
    [
      'an index of indexes',
      async () =>
        indexOf([
          { image: await makeIndex({ seed: 'c4' }) },
          { image: await makeIndex({ seed: 'c5', format: 'docker' }) },
        ]),
    ],
    ['an artifact with the empty config', () => makeArtifact({ seed: 'c6' })],
    [
      'an artifact that is about an image',
      async () => makeArtifact({ seed: 'c7', subject: (await makeImage({ seed: 'c8' })).root }),
    ],
    ['an artifact without blobs', () => Promise.resolve(indexOf([], { artifactType: 'application/vnd.acme.list' }))],
    ['zstd layers', () => makeImage({ seed: 'c9', layers: [{ bytes: 5000, encoding: 'zstd' }] })],
    ['uncompressed layers', () => makeImage({ seed: 'c10', layers: [{ bytes: 5000, encoding: 'tar' }] })],
    ['the empty layer, twice', () => makeImage({ seed: 'c11', layers: ['empty', 700, 'empty'] })],
    ['a media type that nobody knows', () => Promise.resolve(odd('application/vnd.acme.v7+weird'))],
    ['a layer that says no type', () => Promise.resolve(odd('application/octet-stream'))],
    ['a foreign layer', () => Promise.resolve(foreignImage(['https://elsewhere.test/layer']))],
    [
      "Docker's kind of foreign layer",
      () =>
        Promise.resolve(
          foreignImage(['https://elsewhere.test/layer'], 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
        ),
    ],
  ];

  it.each(made)('%s, byte for byte', async (_name, make) => {
    const image = await make();
    const { access, cache, copy } = await world(image, to);
    expect(await copy()).toMatchObject({ digest: image.digest, mediaType: image.root.mediaType });
    for (const { digest, bytes, mediaType } of image.manifests) {
      const held = await cache.openManifest(digest);
      expect([held.mediaType, held.bytes.equals(bytes)]).toEqual([mediaType, true]);
    }
    for (const { digest, open } of image.blobs)
      expect(await readBlob(await cache.openBlob(digest), 1e6)).toEqual(Buffer.concat([...open()]));
    expect(await holdsWholeImage(cache, 'v1')).toBe(true);
    expect(await copy()).toMatchObject({ skipped: true });
    await access.close();
  });

  const wants: CopyOptions['wants'] = ({ platform }) => platform?.architecture === 'arm64';

  it('of an index of indexes the platforms that are wanted', async () => {
    const inner = await makeIndex({ seed: 'nested' });
    const image = indexOf([{ image: inner }]);
    const { access, cache, copy } = await world(image, to);
    const { platforms } = await copy({ wants });
    expect(platforms.map(({ platform, state }) => `${platform} ${state}`)).toEqual([
      'linux/amd64 left',
      'linux/arm64 held',
    ]);
    expect((await cache.openManifest(inner.digest)).bytes.equals(inner.root.bytes)).toBe(true);
    expect(await holdsWholeImage(cache, 'v1', { wants })).toBe(true);
    expect(await holdsWholeImage(cache, 'v1')).toBe(false);
    await access.close();
  });

  it('a registry that takes no sparse index says so, and takes the whole one', async () => {
    const image = await makeIndex({ seed: 'strict' });
    const { access, cache, copy } = await world(image, strict);
    await expect(copy({ wants })).rejects.toMatchObject({ name: 'SparseIndexRefused', said: 'MANIFEST_BLOB_UNKNOWN' });
    await expect(cache.headManifest('v1')).rejects.toMatchObject({ code: 'not-found' });
    // Nothing is sent again: the blobs of the first try are there.
    const { blobs, platforms } = await copy({ thorough: true });
    expect(platforms.map(({ state }) => state)).toEqual(['held', 'held']);
    expect(blobs.present).toBeGreaterThan(0);
    expect(await holdsWholeImage(cache, 'v1')).toBe(true);
    await access.close();
  });
});

describe('what refers to an image, and to a platform of it that is kept', () => {
  it('comes by fallback and by cosign tags, byte for byte; nothing comes about what is left on demand', async () => {
    const image = await makeIndex({ seed: 'referred' });
    const { access, cache, copy, source, upstream } = await world(image, to);
    const [kept, left] = ['linux/amd64', 'linux/arm64'].map((platform) =>
      image.manifests.find(({ digest }) => digest === image.platforms[platform])!,
    );
    const cosigned = async (digest: string) => {
      const signature = await makeArtifact({ seed: `cosign ${digest}` });
      return pushImage(from.url, upstream.repository, [cosignTags(digest)[0]!], signature);
    };
    const signatures = await Promise.all(
      [image.root, kept!, left!].map((subject) => makeArtifact({ seed: subject.digest, subject })),
    );
    for (const [at, subject] of [image.root, kept!, left!].entries()) {
      await pushReferrer(from.url, upstream.repository, subject, signatures[at]!);
      await cosigned(subject.digest);
    }
    const { manifests } = await copy({ wants: ({ platform }) => platform?.architecture === 'amd64' });
    const round = new ReferrersRound({ source, target: cache, witness: 'v1' });
    expect(await round.of(image.digest)).toEqual({ count: 2 });
    expect(await round.below(manifests)).toEqual({ count: 4 });
    for (const [at, subject] of [image.root, kept!].entries()) {
      const { descriptors, index } = await taggedReferrers(cache, subject.digest);
      expect(descriptors.map(({ digest }) => digest)).toEqual([signatures[at]!.digest]);
      const there = await upstream.client.openManifest(referrersTag(subject.digest));
      expect(index?.bytes.equals(there.bytes)).toBe(true);
      const signature = await cache.openManifest(signatures[at]!.digest);
      expect(signature.bytes.equals(signatures[at]!.root.bytes)).toBe(true);
      const tag = cosignTags(subject.digest)[0]!;
      expect((await cache.headManifest(tag)).digest).toBe((await upstream.client.headManifest(tag)).digest);
    }
    const { tags } = await cache.listTags();
    expect(tags.filter((tag) => tag.startsWith(referrersTag(left!.digest)))).toEqual([]);
    await access.close();
  });
});

describe('foreign layers that are asked for', () => {
  const allowed = () => ({ [host]: { plainHTTP: true, allowPrivate: true } });
  const url = (path: string) => `http://${host}/${path}`;

  it('come from their URLs, the first that works, without credentials', async () => {
    const { access, cache, copy, foreignLayer } = await world(
      foreignImage([url('secret'), url('layer')]),
      to,
      allowed(),
    );
    expect(await copy({ foreignLayer })).toMatchObject({ blobs: { total: 2, copied: 2 } });
    expect(await readBlob(await cache.openBlob(digestOf(LAYER)), 1e6)).toEqual(LAYER);
    expect(asked).toEqual([undefined, undefined]);
    expect(await holdsWholeImage(cache, 'v1', { foreignLayers: true })).toBe(true);
    await access.close();
  });

  it.each<[string, () => [string, object], string]>([
    ['with other bytes', () => [url('wrong'), allowed()], 'digest-mismatch'],
    ['at a private address', () => [`https://${host}/layer`, {}], 'address-refused'],
    ['in the clear, unless that is configured', () => [url('layer'), {}], 'untrusted-host'],
    ['with credentials in the URL', () => [`http://me:secret@${host}/layer`, allowed()], 'untrusted-host'],
  ])('are refused %s', async (_name, of, code) => {
    const [at, registries] = of();
    const { access, cache, copy, foreignLayer } = await world(foreignImage([at]), to, registries);
    await expect(copy({ foreignLayer })).rejects.toMatchObject({ code });
    expect(await cache.headBlob(digestOf(LAYER))).toBeUndefined();
    await expect(cache.headManifest('v1')).rejects.toMatchObject({ code: 'not-found' });
    expect(asked.filter((header) => header !== undefined)).toEqual([]);
    await access.close();
  });
});
