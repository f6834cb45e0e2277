import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeImage, type FaultPicker, type MadeImage } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { ShopFloor } from './behaviours/shop-floor.ts';
import { LocalStack, ONE_OF_EACH } from './stack/local-stack.ts';
import { untilReady } from './story/cached-images.ts';
import { HOST } from './story/world.ts';

/*
 * A registry outage with flapping health while a tag moves, and the day on which a publisher deletes everything. Scaled down: how long each
 * phase of the outage takes, and how many images are deleted.
 */
const PHASE_MS = sized({ usual: 300, full: 20_000 });
const ROUNDS = sized({ usual: 3, full: 8 });
const WORKLOADS = sized({ usual: 6, full: 20 });
/** The longest that a pod may wait for upstream; the product's own bound is 2 s. */
const PATIENCE_MS = 300;
const OVERHEAD_MS = 1_700;
const EVENTS = '/api/v1/namespaces/default/events';

/** What upstream does to whoever asks for a manifest, phase after phase; it is well in the third. */
const PHASES: ((upstream: FaultPicker) => void)[] = [
  (upstream) => void upstream.hang(),
  (upstream) => void upstream.answer(502),
  () => undefined,
  (upstream) => void upstream.answer(429, { retryAfter: 1 }),
];

let stack: LocalStack;
let floor: ShopFloor;
const digestOf = async (tag: string) => floor.get(`${tag}`);

beforeAll(async () => {
  stack = await LocalStack.lease({
    replicas: ONE_OF_EACH,
    environment: {
      KUIK_TAGS_PATIENCE: `${PATIENCE_MS}ms`,
      KUIK_TAGS_AT_MOST_EVERY: '100ms',
      KUIK_MONITOR_INTERVAL: '1s',
      KUIK_MONITOR_BUDGET_PER_INTERVAL: '100',
    },
  });
  floor = new ShopFloor(stack);
}, 60_000);
afterAll(() => stack.stop());

async function use(name: string, image: string, imagePullPolicy: string): Promise<void> {
  await floor.pod(name, image, { containers: [{ name: 'app', image, imagePullPolicy }] });
}

describe('a registry outage with flapping health, of an image that is pulled Always', () => {
  const reference = `${HOST}/flapping:stable`;
  let before: MadeImage;
  let after: MadeImage;

  it('fails no pull and holds none up, serves the moved tag soon after upstream is well, and says what was stale', async () => {
    before = await makeImage({ seed: 'flapping/before' });
    after = await makeImage({ seed: 'flapping/after' });
    await floor.push('flapping', ['stable'], before);
    await use('flapping', reference, 'Always');
    await untilReady(stack.api, [reference], () => undefined);
    await floor.until('the tag to be checked', async () => (await floor.image(reference))?.status?.check !== undefined);
    const checked = () => stack.faults.log.requests({ host: HOST, method: 'HEAD' }).length;
    const asked = checked();
    await floor.until('a pull to ask', async () => (await digestOf('flapping/manifests/stable'), checked() > asked));

    const seen: { phase: number; round: number; status: number; digest: string; ms: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [phase, fault] of PHASES.entries()) {
        // Half way, while upstream cannot say so.
        if (round === Math.floor(ROUNDS / 2) && phase === 1) await floor.push('flapping', ['stable'], after);
        await stack.faults.reset();
        fault(stack.faults.host(HOST).on({ kind: 'manifest' }));
        for (const until = performance.now() + PHASE_MS; performance.now() < until;) {
          const { status, digest, ms } = await digestOf('flapping/manifests/stable');
          seen.push({ phase, round, status, digest, ms });
        }
      }
    }
    await stack.faults.reset();
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200]));
    expect(Math.max(...seen.map(({ ms }) => ms))).toBeLessThan(PATIENCE_MS + OVERHEAD_MS);
    expect(new Set(seen.map(({ digest }) => digest))).toEqual(new Set([before.digest, after.digest]));
    // Once the new one was seen, the old one may come back only as what is kept while upstream cannot say.
    await floor.until('new pods to run the new image', async () => {
      const answer = await digestOf('flapping/manifests/stable');
      return answer.digest === after.digest && answer.headers['warning'] === undefined;
    });

    const [proxy] = stack.services['node-proxy'];
    expect(await stack.metric(proxy!, 'kuik_proxy_requests_total', { reason: 'CheckFailed' })).toBeGreaterThan(0);
    await floor.until('the event', async () => {
      const events = await stack.api.list<{ reason?: string; metadata: { uid: string } }>(EVENTS);
      return events.some(({ reason }) => reason === 'ServedStale');
    });
  }, 600_000);

  it('is copied behind the first pull, and a person can go back to what the tag named before', async () => {
    await floor.until('the new image to be cached', async () => {
      const cache = (await floor.image(reference))?.status?.cache;
      return cache?.digest === after.digest && cache.history?.[0]?.digest === before.digest;
    });
    expect(await floor.inCache(`${HOST}/flapping@${before.digest}`)).toBe(before.digest);
    await floor.change((await floor.image(reference))!, { spec: { pin: before.digest } });
    stack.faults.host(HOST).on().hang();
    await floor.until('the pin to be served', async () => {
      const answer = await digestOf('flapping/manifests/stable');
      return answer.digest === before.digest && answer.headers['warning'] === undefined;
    });
    await stack.faults.reset();
  });
});

describe('the day on which a publisher deletes every image', () => {
  it('changes nothing for pods that start again, and says of each image that the cache holds the only copy', async () => {
    const names = Array.from({ length: WORKLOADS }, (_, index) => `gone-${index}`);
    const references = names.map((name) => `${HOST}/${name}:1`);
    const digests: string[] = [];
    for (const [index, name] of names.entries()) {
      const image = await makeImage({ seed: name });
      digests.push(image.digest);
      await floor.push(name, ['1'], image);
      await use(name, references[index]!, index % 2 === 0 ? 'Always' : 'IfNotPresent');
    }
    await untilReady(stack.api, references, () => undefined, 60_000);

    for (const name of names) stack.faults.host(HOST).on({ repository: name }).gone();
    const pulled = await Promise.all(references.map((reference) => stack.pull(reference).then(({ digest }) => digest)));
    expect(pulled).toEqual(digests);

    const orphans = async () => {
      const images = await Promise.all(references.map((reference) => floor.image(reference)));
      return images.filter((image) => image?.status?.conditions?.some(({ type }) => type === 'Orphaned'));
    };
    await floor.until('every image to be called orphaned', async () => (await orphans()).length === WORKLOADS, 60_000);
    const told = await Promise.all(
      stack.services['pod-watcher'].map((process) => stack.metric(process, 'kuik_orphaned_images')),
    );
    expect(told).toContain(WORKLOADS);

    // Their time is over, and they are used: gc, which looks twice a second here, takes none of them.
    const rounds = async () => {
      const seconds = await Promise.all(
        stack.services.gc.map((process) => stack.metric(process, 'kuik_loop_seconds_count', { loop: 'collection' })),
      );
      return seconds.reduce((sum, count) => sum + count, 0);
    };
    for (const image of await orphans()) await floor.change(image!, { spec: { expiresAt: '2020-01-01T00:00:00Z' } });
    const since = await rounds();
    await floor.until('gc to have looked', async () => (await rounds()) >= since + 4);
    expect((await orphans()).map((image) => image?.status?.phase)).toEqual(references.map(() => 'Ready'));
    expect((await floor.get(`${names[0]}/manifests/1`)).digest).toBe(digests[0]);
  }, 120_000);
});
