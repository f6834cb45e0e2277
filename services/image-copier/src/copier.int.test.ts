import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { COPY_QUEUE, ERROR_CODES } from '@kuik/contracts';
import { anchorTag, parseReference, toCacheRepository } from '@kuik/image';
import { createProducer } from '@kuik/queue';
import { indexOf, makeImage, makeIndex, pushImage, until, type MadeImage } from '@kuik/testbed';
import { z } from 'zod';
import { startCopierWorld, type Copier, type CopierWorld } from './testing/copier-world.ts';

const HOST = 'registry.example.test';

let world: CopierWorld;
let copier: Copier;
beforeAll(async () => {
  world = await startCopierWorld([HOST]);
  copier = await world.start();
}, 90_000);
afterAll(() => world?.close());

const push = (repository: string, tags: string[], image: MadeImage) => world.faults.push(HOST, repository, tags, image);

/** Every manifest and blob of the image is in the cache, byte for byte. */
async function expectWhole(reference: string, image: MadeImage): Promise<void> {
  const repository = toCacheRepository(parseReference(reference))!;
  for (const { digest, bytes } of image.manifests) {
    const held = await world.manifest(reference, digest);
    expect({ digest: held.digest, same: held.bytes.equals(bytes) }).toEqual({ digest, same: true });
  }
  for (const { digest } of image.blobs)
    expect((await world.readCache(repository, `blobs/${digest}`, 'HEAD')).status).toBe(200);
}

describe('what is copied', () => {
  it.each<[string, () => Promise<MadeImage>, string[]]>([
    ['an index with attestations', () => makeIndex({ seed: 'index' }), ['linux/amd64', 'linux/arm64']],
    [
      'an index that nobody else would write like that',
      () => makeIndex({ seed: 'odd', json: 'odd', sharedLayers: 1, layers: [4096, 2048] }),
      ['linux/amd64', 'linux/arm64'],
    ],
    ['Docker schema 2', () => makeImage({ seed: 'docker', format: 'docker', json: 'pretty' }), ['linux/amd64']],
    [
      'a Docker manifest list',
      () => makeIndex({ seed: 'list', format: 'docker', platforms: ['linux/amd64', 'linux/arm/v7'] }),
      ['linux/amd64', 'linux/arm/v7'],
    ],
    [
      'an index with a child without platform',
      () => makeIndex({ seed: 'bare', platforms: ['linux/amd64'], childWithoutPlatform: true, attestation: false }),
      ['linux/amd64'],
    ],
    ['an index of nothing', () => Promise.resolve(indexOf([])), []],
  ])('%s, byte for byte', async (name, make, platforms) => {
    const made = await make();
    const repository = `whole/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
    await push(repository, ['1.0'], made);
    const image = await world.copied(`${HOST}/${repository}:1.0`);
    expect(image.stanza).toEqual({
      forUid: image.metadata.uid,
      digest: made.digest,
      mediaType: made.root.mediaType,
      tag: '1.0',
      platforms: expect.arrayContaining(platforms),
      bytes: made.bytes,
      blobs: made.blobs.length,
      publicAt: expect.any(String),
      sharedBlobs: 0,
      copiedAt: expect.any(String),
    });
    expect(image.stanza.platforms!.filter((platform) => !platform.includes('unknown'))).toEqual(platforms);
    expect((await world.manifest(`${HOST}/${repository}:1.0`)).digest).toBe(made.digest);
    await expectWhole(`${HOST}/${repository}:1.0`, made);
    const state = await until(() => world.state(image), { what: 'its state' });
    expect(state).toMatchObject({ digest: made.digest, cacheTag: '1.0', uid: image.metadata.uid });
  });

  it('anchors a pinned digest by a tag of its own, so that it never fights with the tag', async () => {
    const [old, now] = [await makeIndex({ seed: 'old' }), await makeIndex({ seed: 'now' })];
    await push('pinned', ['1'], old);
    await push('pinned', ['1'], now);
    const references = [`${HOST}/pinned:1`, `${HOST}/pinned@${old.digest}`, `${HOST}/pinned:1@${old.digest}`];
    const images = await Promise.all(references.map((reference) => world.copied(reference)));
    expect(images.map(({ stanza }) => stanza.digest)).toEqual([now.digest, old.digest, old.digest]);
    expect((await world.tags(`${HOST}/pinned`)).sort()).toEqual(['1', anchorTag(old.digest)].sort());
    expect((await world.manifest(`${HOST}/pinned:1`)).digest).toBe(now.digest);
    await expectWhole(references[1]!, old);
  });

  it.each([
    ['a/b', 'v1', 'a-b', 'v1'],
    ['one', 'v1', 'one', 'V1'],
  ])('%s:%s and %s:%s are two', async (repositoryA, tagA, repositoryB, tagB) => {
    const [a, b] = [
      await makeImage({ seed: `${repositoryA}:${tagA}` }),
      await makeImage({ seed: `${repositoryB}:${tagB}` }),
    ];
    await push(repositoryA, [tagA], a);
    await push(repositoryB, [tagB], b);
    const images = await Promise.all([
      world.copied(`${HOST}/${repositoryA}:${tagA}`),
      world.copied(`${HOST}/${repositoryB}:${tagB}`),
    ]);
    expect(images.map(({ stanza }) => stanza.digest)).toEqual([a.digest, b.digest]);
    expect((await world.manifest(`${HOST}/${repositoryA}:${tagA}`)).digest).toBe(a.digest);
    expect((await world.manifest(`${HOST}/${repositoryB}:${tagB}`)).digest).toBe(b.digest);
  });

  it('a repository of 190 characters with a tag of 100', async () => {
    const repository = `${'deep/'.repeat(20)}${'r'.repeat(90)}`;
    const tag = 't'.repeat(100);
    const made = await makeImage({ seed: 'long' });
    expect(repository).toHaveLength(190);
    await push(repository, [tag], made);
    const { stanza } = await world.copied(`${HOST}/${repository}:${tag}`);
    expect(stanza).toMatchObject({ digest: made.digest, tag });
  });
});

describe('the configuration file of a running copier', () => {
  it('says how the next copy reaches its registry', async () => {
    const made = await makeImage({ seed: 'configured' });
    await push('configured', ['1'], made);
    const registries = world.faults.registries();
    const { ca: _ca, ...distrusted } = registries[HOST]!;
    await copier.change({ registries: { [HOST]: distrusted } });
    const image = await world.copied(`${HOST}/configured:1`);
    await copier.change({ registries });
    expect(image.stanza.error?.code).toBe(ERROR_CODES.tls.code);
    await world.enqueue(image);
    await world.told(image, ({ digest }) => digest === made.digest);
  });
});

describe('a copy that is there already', () => {
  it('is told as completely as a new one, and upstream is asked for a head alone', async () => {
    const made = await makeIndex({ seed: 'again', layers: [3000, 2000] });
    await push('again', ['1'], made);
    const first = await world.copied(`${HOST}/again:1`);
    world.faults.log.reset();
    await world.enqueue(first);
    const second = await world.told(first, ({ copiedAt }) => copiedAt !== first.stanza.copiedAt);
    const { copiedAt, publicAt: _shown, sharedBlobs, ...rest } = first.stanza;
    const now = { copiedAt: expect.any(String), publicAt: expect.any(String) };
    expect(second.stanza).toEqual({ ...rest, ...now, sharedBlobs: rest.blobs });
    expect([copiedAt, sharedBlobs]).toEqual([expect.any(String), 0]);
    expect(world.faults.log.total({ method: 'GET' }).requests).toBe(0);
  });

  it('is made anew when a person forces it: a tag that moved, and what the cache lost', async () => {
    const [before, after] = [await makeImage({ seed: 'moves/1' }), await makeImage({ seed: 'moves/2' })];
    await push('moves', ['1'], before);
    const image = await world.copied(`${HOST}/moves:1`);
    expect(image.stanza.digest).toBe(before.digest);
    await push('moves', ['1'], after);
    await world.force(image, 'one');
    const moved = await world.told(image, ({ forced }) => forced === 'one');
    expect(moved.stanza).toMatchObject({ digest: after.digest, sharedBlobs: 0 });

    const [lost] = after.blobs;
    await rm(path.join(world.stack.cache.folder, 'docker/registry/v2/repositories', HOST, 'moves/_layers'), {
      recursive: true,
    });
    expect((await world.readCache(`${HOST}/moves`, `blobs/${lost!.digest}`, 'HEAD')).status).toBe(404);
    await world.force(image, 'two');
    const refilled = await world.told(image, ({ forced }) => forced === 'two');
    expect(refilled.stanza).toMatchObject({ digest: after.digest, blobs: after.blobs.length });
    await expectWhole(`${HOST}/moves:1`, after);
  });

  it('follows the tag when an update is due, and reads nothing when it has not moved', async () => {
    const [before, after] = [await makeImage({ seed: 'due/1' }), await makeImage({ seed: 'due/2' })];
    await push('due', ['1'], before);
    const image = await world.copied(`${HOST}/due:1`);
    world.faults.log.reset();
    await world.enqueue(image, 'UpdateDue');
    const same = await world.told(image, ({ copiedAt }) => copiedAt !== image.stanza.copiedAt);
    expect(same.stanza.digest).toBe(before.digest);
    expect(world.faults.log.total({ method: 'GET' }).requests).toBe(0);
    await push('due', ['1'], after);
    await world.enqueue(image, 'UpdateDue');
    const moved = await world.told(image, ({ digest }) => digest === after.digest);
    expect(moved.stanza).not.toHaveProperty('error');
    await expectWhole(`${HOST}/due:1`, after);
  });

  it('keeps the digest that a person pinned, by a tag of its own, when a forced update moves the tag', async () => {
    const [old, now] = [await makeIndex({ seed: 'pin/old' }), await makeIndex({ seed: 'pin/now' })];
    await push('keeps-pin', ['1'], old);
    const image = await world.copied(`${HOST}/keeps-pin:1`);
    await world.pin(image, old.digest);
    await push('keeps-pin', ['1'], now);
    await world.force(image, 'move');
    const moved = await world.told(image, ({ forced }) => forced === 'move');
    expect(moved.stanza.digest).toBe(now.digest);
    expect((await world.tags(`${HOST}/keeps-pin`)).sort()).toEqual(['1', anchorTag(old.digest)].sort());
    expect((await world.manifest(`${HOST}/keeps-pin:1`, anchorTag(old.digest))).digest).toBe(old.digest);
    await expectWhole(`${HOST}/keeps-pin:1`, old);
  });

  it('comes back into a cache that was wiped', async () => {
    const made = await makeIndex({ seed: 'wiped' });
    await push('wiped', ['1'], made);
    const image = await world.copied(`${HOST}/wiped:1`);
    await world.stack.cache.wipe();
    expect(await world.tags(`${HOST}/wiped`)).toEqual([]);
    await world.enqueue(image);
    const again = await world.told(image, ({ copiedAt }) => copiedAt !== image.stanza.copiedAt);
    expect(again.stanza).toMatchObject({ blobs: made.blobs.length, sharedBlobs: 0, bytes: made.bytes });
    await expectWhole(`${HOST}/wiped:1`, made);
  });
});

describe('a cache registry that kuik v1 filled', () => {
  async function store(name: string, image: MadeImage): Promise<void> {
    const repository = `${HOST}/${name}`;
    const { cache } = world.stack;
    const authorization = cache.authorization('writer', [{ repository, actions: ['pull', 'push'] }]);
    await pushImage(cache.writerUrl, repository, ['1'], image, { authorization });
  }

  /** v1 kept one platform, in an index that it wrote anew: under the tag is another digest than upstream's. */
  async function filledByV1(name: string) {
    const child = (platform: string) => makeImage({ seed: `${name}/${platform}`, platform, layers: [4096] });
    const [amd64, arm64] = [await child('linux/amd64'), await child('linux/arm64')];
    const platform = (architecture: string) => ({ os: 'linux', architecture });
    const held = indexOf([{ image: amd64, platform: platform('amd64') }]);
    const upstream = indexOf([
      { image: amd64, platform: platform('amd64') },
      { image: arm64, platform: platform('arm64') },
    ]);
    await store(name, held);
    return { held, upstream, amd64, arm64, reference: `${HOST}/${name}:1` };
  }

  it("gets upstream's own index, and only those blobs that it lacks", async () => {
    const { upstream, amd64, arm64, reference } = await filledByV1('v1-index');
    await push('v1-index', ['1'], upstream);
    world.faults.log.reset();
    const { stanza } = await world.copied(reference);
    const { blobs } = upstream;
    expect(stanza).toMatchObject({ digest: upstream.digest, blobs: blobs.length, sharedBlobs: amd64.blobs.length });
    expect(world.faults.log.total({ method: 'GET', kind: 'blob' }).requests).toBe(arm64.blobs.length);
    await expectWhole(reference, upstream);
  });

  it('is not read at all where it holds what upstream has: two HEADs', async () => {
    const made = await makeImage({ seed: 'v1-single' });
    await push('v1-single', ['1'], made);
    await store('v1-single', made);
    world.faults.log.reset();
    const { stanza } = await world.copied(`${HOST}/v1-single:1`);
    expect(stanza).toMatchObject({ digest: made.digest, blobs: made.blobs.length, sharedBlobs: made.blobs.length });
    expect(world.faults.log.total({ method: 'GET' }).requests).toBe(0);
  });

  it('is all there is when upstream has deleted the image: what it holds stays and is served', async () => {
    const { held, reference } = await filledByV1('v1-orphan');
    const { stanza, ...image } = await world.copied(reference);
    expect(stanza).toMatchObject({
      digest: held.digest,
      tag: '1',
      platforms: ['linux/amd64'],
      error: { attempts: 1 },
    });
    expect(stanza).not.toHaveProperty('copiedAt');
    expect(await until(() => world.state(image), { what: 'its state' })).toMatchObject({ digest: held.digest });
  });
});

describe('jobs that mean nothing', () => {
  it('crash nothing, and touch nobody', async () => {
    const raw = createProducer({ ...COPY_QUEUE, schema: z.any(), dedupId: () => 'garbage' }, world.rawRedis);
    const strange = { name: '../../secrets/x', uid: 'u-2', reference: `${HOST}/x:1`, host: HOST, reason: 'NotCached' };
    const garbage: unknown[] = [null, 'text', 42, [], {}, { name: 7 }, { name: 'x'.repeat(100_000), uid: {} }, strange];
    for (const payload of garbage) {
      await raw.enqueue(payload);
      await until(async () => (await raw.counts()).waiting === 0, { what: 'the queue to be empty' });
    }
    await raw.close();
    const job = { reference: `${HOST}/none:1`, host: HOST, reason: 'NotCached' };
    const known = await world.create(`${HOST}/known:1`);
    world.faults.log.reset();
    const raise = createProducer(COPY_QUEUE, world.rawRedis);
    await raise.enqueue({ ...job, name: 'nobody', uid: 'u-1' });
    await raise.enqueue({ ...job, name: known.metadata.name, uid: 'u-of-another' });
    const left = async (): Promise<number> => {
      const { waiting, active, delayed } = await raise.counts();
      return waiting + active + delayed;
    };
    await until(async () => (await left()) === 0, { what: 'every job to have an end' });
    await raise.close();
    const skipped = (reason: string) => copier.metric('kuik_copies_total', `code="${reason}"`);
    await until(async () => (await skipped('ObjectReplaced')) === 1, { what: 'the job of another uid to be skipped' });
    await until(async () => (await skipped('ObjectGone')) === 1, { what: 'the job of nobody to be skipped' });
    expect(world.faults.log.total().requests).toBe(0);

    const made = await makeImage({ seed: 'after-garbage' });
    await push('after-garbage', ['1'], made);
    expect((await world.copied(`${HOST}/after-garbage:1`)).stanza.digest).toBe(made.digest);
  });
});
