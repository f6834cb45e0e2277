import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { randomBytes } from 'node:crypto';
import { readBlob } from '../open-blob.ts';
import type { ByteSink, RepositoryClient } from '../port.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** What every RepositoryClient must do. `open` gives a client of an empty registry; repositories are made up per test. */
export function repositoryConformance(name: string, open: (repository: string) => RepositoryClient): void {
  describe(`${name} as a repository`, () => {
    let count = 0;
    const fresh = () => open(`conformance/${(count += 1)}-${randomBytes(4).toString('hex')}`);

    it('stores a blob in one piece and gives back its bytes, whole and by range', async () => {
      const client = fresh();
      const bytes = randomBytes(300_000);
      const digest = await upload(client, bytes);
      expect(await client.headBlob(digest)).toEqual({ size: bytes.length });
      const whole = await client.openBlob(digest);
      expect([whole.totalSize, whole.offset, whole.length]).toEqual([300_000, 0, 300_000]);
      expect((await readBlob(whole, 1e6)).equals(bytes)).toBe(true);
      const tail = await client.openBlob(digest, { offset: 299_990 });
      expect([tail.totalSize, tail.offset, tail.length]).toEqual([300_000, 299_990, 10]);
      expect((await readBlob(tail, 100)).equals(bytes.subarray(299_990))).toBe(true);
      const middle = await client.openBlob(digest, { offset: 5, end: 9 });
      expect((await readBlob(middle, 100)).equals(bytes.subarray(5, 10))).toBe(true);
    });

    it('delivers as a stream', async () => {
      const client = fresh();
      const bytes = randomBytes(200_000);
      const blob = await client.openBlob(await upload(client, bytes));
      const parts = await blob.stream().toArray();
      expect(Buffer.concat(parts as Buffer[]).equals(bytes)).toBe(true);
    });

    it('stores an empty blob', async () => {
      const client = fresh();
      const digest = await upload(client, Buffer.alloc(0));
      expect(await client.headBlob(digest)).toEqual({ size: 0 });
      expect(await readBlob(await client.openBlob(digest), 1)).toHaveLength(0);
    });

    it('refuses a range behind the end', async () => {
      const client = fresh();
      const digest = await upload(client, Buffer.from('short'));
      await expect(client.openBlob(digest, { offset: 5 })).rejects.toMatchObject({ code: 'range-not-satisfiable' });
    });

    it('takes chunks in order, tells its offset, and refuses a gap', async () => {
      const client = fresh();
      const bytes = randomBytes(100_000);
      const session = await start(client);
      await session.write(from(bytes.subarray(0, 40_000)), 0, 40_000);
      expect(await session.offset()).toBe(40_000);
      await expect(session.write(from(bytes.subarray(50_000)), 50_000, 50_000)).rejects.toMatchObject({
        code: 'range-not-satisfiable',
      });
      await session.write(from(bytes.subarray(40_000)), 40_000, 60_000);
      await session.commit(digestOf(bytes));
      expect(await client.headBlob(digestOf(bytes))).toEqual({ size: 100_000 });
    });

    it('does not commit what has another digest', async () => {
      const client = fresh();
      const session = await start(client);
      const wrong = digestOf('something else');
      await expect(session.putWhole(from(Buffer.from('bytes')), 5, wrong)).rejects.toMatchObject({ code: 'rejected' });
      expect(await client.headBlob(wrong)).toBeUndefined();
    });

    it('forgets an aborted session', async () => {
      const session = await start(fresh());
      await session.write(from(Buffer.from('bytes')), 0, 5);
      await session.abort();
      await expect(session.offset()).rejects.toMatchObject({ code: 'not-found' });
    });

    it('fails an upload whose source ends early, and throws the error of a source as it is', async () => {
      const client = fresh();
      await expect(
        (await start(client)).putWhole(from(Buffer.from('abc')), 5, digestOf('abcde')),
      ).rejects.toMatchObject({
        code: 'truncated',
      });
      const broken = () => Promise.reject(new Error('the source broke'));
      await expect((await start(client)).putWhole(broken, 5, digestOf('abcde'))).rejects.toThrow('the source broke');
    });

    it('mounts a blob from a sibling that has it, else opens a session', async () => {
      const [one, two] = [fresh(), fresh()];
      const digest = await upload(one, randomBytes(1_000));
      expect(await two.headBlob(digest)).toBeUndefined();
      expect(await two.startUpload({ mount: { digest, from: one.repository } })).toEqual({ mounted: true });
      expect(await two.headBlob(digest)).toEqual({ size: 1_000 });
      const other = await two.startUpload({ mount: { digest: digestOf('nowhere'), from: one.repository } });
      expect(other.mounted).toBe(false);
    });

    it('keeps a manifest byte for byte, by tag and by digest', async () => {
      const client = fresh();
      const { bytes } = await image(client);
      const digest = await client.putManifest('v1', bytes, MANIFEST);
      expect(digest).toBe(digestOf(bytes));
      for (const reference of ['v1', digest]) {
        expect(await client.headManifest(reference)).toEqual({ digest, mediaType: MANIFEST, size: bytes.length });
        const manifest = await client.openManifest(reference);
        expect(manifest.bytes.equals(bytes)).toBe(true);
        expect([manifest.digest, manifest.mediaType]).toEqual([digest, MANIFEST]);
      }
    });

    it('takes an index whose children it lacks, and refuses an image whose layer it lacks', async () => {
      const client = fresh();
      const child = {
        mediaType: MANIFEST,
        digest: digestOf('absent'),
        size: 6,
        platform: { os: 'linux', architecture: 's390x' },
      };
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [child] }));
      expect(await client.putManifest('sparse', index, INDEX)).toBe(digestOf(index));
      const { manifest } = await image(client);
      manifest.layers.push({ mediaType: LAYER, digest: digestOf('absent layer'), size: 12 });
      const holed = Buffer.from(JSON.stringify(manifest));
      await expect(client.putManifest('holed', holed, MANIFEST)).rejects.toMatchObject({ code: 'rejected' });
      await expect(client.headManifest('holed')).rejects.toMatchObject({ code: 'not-found' });
    });

    it('deletes a tag and nothing else', async () => {
      const client = fresh();
      const { bytes } = await image(client);
      const digest = await client.putManifest('one', bytes, MANIFEST);
      await client.putManifest('two', bytes, MANIFEST);
      expect(await client.deleteTag('one')).toBe(true);
      expect(await client.deleteTag('one')).toBe(false);
      await expect(client.headManifest('one')).rejects.toMatchObject({ code: 'not-found' });
      expect((await client.headManifest('two')).digest).toBe(digest);
      expect((await client.headManifest(digest)).digest).toBe(digest);
    });

    it('lists tags in pages', async () => {
      const client = fresh();
      const { bytes } = await image(client);
      for (const tag of ['c', 'a', 'b']) await client.putManifest(tag, bytes, MANIFEST);
      expect((await client.listTags()).tags).toEqual(['a', 'b', 'c']);
      const first = await client.listTags({ n: 2 });
      expect(first.tags).toEqual(['a', 'b']);
      expect((await client.listTags({ n: 2, last: first.next! })).tags).toEqual(['c']);
    });

    it('says what is not there', async () => {
      const client = fresh();
      expect(await client.headBlob(digestOf('nothing'))).toBeUndefined();
      await expect(client.openBlob(digestOf('nothing'))).rejects.toMatchObject({ code: 'not-found', retry: false });
      await expect(client.openManifest('nothing')).rejects.toMatchObject({ code: 'not-found', status: 404 });
      await expect(client.listTags()).rejects.toMatchObject({ code: 'not-found' });
    });

    it('refuses malformed references before it asks anybody', async () => {
      const client = fresh();
      await expect(client.headManifest('../../etc')).rejects.toMatchObject({ code: 'rejected' });
      await expect(client.openBlob('sha256:short')).rejects.toMatchObject({ code: 'rejected' });
      await expect(client.deleteTag(digestOf('x'))).rejects.toMatchObject({ code: 'rejected' });
    });

    it('gives up when the caller does', async () => {
      const client = fresh();
      const signal = AbortSignal.abort();
      await expect(client.headManifest('v1', { signal })).rejects.toMatchObject({ code: 'aborted', retry: false });
      await expect(client.openBlob(digestOf('x'), { signal })).rejects.toMatchObject({ code: 'aborted' });
    });
  });
}

async function start(client: RepositoryClient) {
  const answer = await client.startUpload();
  if (answer.mounted) throw new Error('mounted without being asked');
  return answer.upload;
}

async function upload(client: RepositoryClient, bytes: Buffer): Promise<string> {
  const digest = digestOf(bytes);
  await (await start(client)).putWhole(from(bytes), bytes.length, digest);
  return digest;
}

function from(bytes: Buffer): (sink: ByteSink) => Promise<void> {
  return async (sink) => {
    if (bytes.length > 0) await sink(bytes);
  };
}

async function image(client: RepositoryClient) {
  const config = Buffer.from('{"os":"linux","architecture":"amd64"}');
  const layer = randomBytes(500);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: CONFIG, digest: await upload(client, config), size: config.length },
    layers: [{ mediaType: LAYER, digest: await upload(client, layer), size: layer.length }],
  };
  return { manifest, bytes: Buffer.from(JSON.stringify(manifest, null, 3)) };
}
