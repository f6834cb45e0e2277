import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { makeImage, until, type MadeImage } from '@kuik/testbed';
import { startCopierWorld, type Copier, type CopierWorld } from './testing/copier-world.ts';

const HOST = 'registry.example.test';
const OTHER = 'other.example.test';
const MiB = 1024 * 1024;

let world: CopierWorld;
let workers: Copier[];
/** A worker of one job at a time, so that two jobs are two workers' work. */
const startWorker = () => world.start({ concurrency: 1 });
beforeAll(async () => {
  world = await startCopierWorld([HOST, OTHER]);
  workers = await Promise.all([startWorker(), startWorker()]);
}, 90_000);
afterAll(() => world?.close());
afterEach(() => {
  for (const host of [HOST, OTHER]) world.faults.host(host).clear();
  world.faults.log.reset();
});

/** An image whose first layer is the one of every image of this `base`. */
async function push(repository: string, base: string, bytes = 4096, host = HOST): Promise<MadeImage> {
  const made = await makeImage({
    seed: `${host}/${repository}`,
    layers: [{ bytes, seed: base, encoding: 'raw' }, 512],
  });
  await world.faults.push(host, repository, ['1'], made);
  return made;
}
const baseOf = (made: MadeImage): string => made.blobs[1]!.digest;
const reads = (digest: string, host = HOST) =>
  world.faults.log.requests({ host, kind: 'blob', method: 'GET' }).filter(({ reference }) => reference === digest);
const holds = async (repository: string, digest: string, host = HOST): Promise<boolean> =>
  (await world.readCache(`${host}/${repository}`, `blobs/${digest}`, 'HEAD')).status === 200;
async function expectWhole(repository: string, made: MadeImage, host = HOST): Promise<void> {
  expect((await world.manifest(`${host}/${repository}:1`)).digest).toBe(made.digest);
  for (const { digest } of made.blobs) expect([digest, await holds(repository, digest, host)]).toEqual([digest, true]);
}

describe('a layer of two repositories', () => {
  it('is read from upstream once, and mounted; its stanza tells', async () => {
    const [one, two] = [await push('once/one', 'once', 100_000), await push('once/two', 'once', 100_000)];
    expect(baseOf(one)).toBe(baseOf(two));
    const copied = await world.copied(`${HOST}/once/one:1`);
    expect(copied.stanza).toMatchObject({ digest: one.digest, blobs: 3, sharedBlobs: 0 });
    const shared = await world.copied(`${HOST}/once/two:1`);
    expect(shared.stanza).toMatchObject({ digest: two.digest, bytes: two.bytes, blobs: 3, sharedBlobs: 1 });
    expect(reads(baseOf(one))).toHaveLength(1);
    await expectWhole('once/two', two);
  });

  it('is read again when what is remembered of the cache is no longer true', async () => {
    const [one, two] = [await push('wiped/one', 'wiped'), await push('wiped/two', 'wiped')];
    await world.copied(`${HOST}/wiped/one:1`);
    await world.stack.cache.wipe();
    const { stanza } = await world.copied(`${HOST}/wiped/two:1`);
    expect(stanza).toMatchObject({ digest: two.digest, sharedBlobs: 0 });
    expect(reads(baseOf(one))).toHaveLength(2);
    await expectWhole('wiped/two', two);
  });

  it('is read from each of two registries: what one shows says nothing about the other', async () => {
    const [one, two] = [await push('apart', 'apart'), await push('apart', 'apart', 4096, OTHER)];
    await world.copied(`${HOST}/apart:1`);
    const { stanza } = await world.copied(`${OTHER}/apart:1`);
    expect(stanza).toMatchObject({ digest: two.digest, sharedBlobs: 0 });
    expect([reads(baseOf(one)), reads(baseOf(one), OTHER)]).toMatchObject([{ length: 1 }, { length: 1 }]);
  });

  it('is not had by naming it: upstream has to show it to the second repository, too', async () => {
    const [secret, thief] = [await push('secret', 'secret'), await push('thief', 'secret')];
    await world.copied(`${HOST}/secret:1`);
    world.faults
      .host(HOST)
      .on({ kind: 'blob', repository: 'thief', reference: baseOf(secret) })
      .gone();
    const { stanza } = await world.copied(`${HOST}/thief:1`);
    expect(stanza.digest).toBeUndefined();
    expect(stanza.error!.message).toContain(`blob ${baseOf(secret)} of ${HOST}/thief: status 404`);
    expect(await holds('thief', baseOf(thief))).toBe(false);
  });
});

describe('a large blob that two workers want at once', () => {
  /** Two images with one slow layer, the copy of the first under way; both raised. */
  async function bothWanted(name: string, between: () => Promise<unknown> = () => Promise.resolve()) {
    const [one, two] = [await push(`${name}/one`, name, 3 * MiB), await push(`${name}/two`, name, 3 * MiB)];
    const slow = world.faults
      .host(HOST)
      .on({ kind: 'blob', method: 'GET', reference: baseOf(one) })
      .drip(MiB);
    const begin = async (image: 'one' | 'two') => {
      const object = await world.create(`${HOST}/${name}/${image}:1`);
      await world.enqueue(object);
      return object;
    };
    const images = [await begin('one')];
    await world.faults.log.untilRequest(
      ({ reference, method, bytes }) => method === 'GET' && reference === baseOf(one) && bytes > 0,
      10_000,
      'the large blob to be under way',
    );
    await between();
    images.push(await begin('two'));
    // Its small layer is there: what it still lacks is the blob that the other one brings.
    await until(() => holds(`${name}/two`, two.blobs[2]!.digest), { what: 'the second copy to wait' });
    return { one, two, images, slow };
  }

  it('is read from upstream once', async () => {
    const { one, two, images, slow } = await bothWanted('both');
    expect(reads(baseOf(one))).toHaveLength(1);
    slow.clear();
    const told = await Promise.all(images.map((image) => world.told(image, ({ digest }) => digest !== undefined)));
    expect(told.map(({ stanza }) => [stanza.digest, stanza.sharedBlobs])).toEqual([
      [one.digest, 0],
      [two.digest, 1],
    ]);
    expect(reads(baseOf(one))).toHaveLength(1);
    await expectWhole('both/two', two);
  });

  it('is brought by the other when its worker is killed in the middle', async () => {
    await Promise.all(workers.map((worker) => worker.close()));
    const doomed = await world.startProcess({ concurrency: 1 });
    const { one, two, images, slow } = await bothWanted('killed', startWorker);
    expect(reads(baseOf(one))).toHaveLength(1);
    await doomed.kill('SIGKILL');
    slow.clear();
    const told = await Promise.all(
      images.map((image) => world.told(image, ({ digest }) => digest !== undefined, 30_000)),
    );
    expect(told.map(({ stanza }) => stanza.digest)).toEqual([one.digest, two.digest]);
    await Promise.all([expectWhole('killed/one', one), expectWhole('killed/two', two)]);
  }, 60_000);
});
