import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeImage, type FaultPicker, type MadeImage } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { ShopFloor } from './behaviours/shop-floor.ts';
import { LocalStack, ONE_OF_EACH } from './stack/local-stack.ts';
import { cachedImages, untilReady } from './story/cached-images.ts';
import { jsonpathLines } from './story/jsonpath-lines.ts';
import { HOST } from './story/world.ts';

/*
 * A registry outage with flapping health while a tag moves, and the day on which a publisher deletes everything. Scaled down: how long each
 * phase of the outage takes, and how many images are deleted.
 */
const PHASE_MS = sized({ usual: 300, full: 20_000 });
/** In full more than ten minutes of it. */
const ROUNDS = sized({ usual: 3, full: 8 });
const WORKLOADS = sized({ usual: 6, full: 20 });
/** The longest that a pod may wait for upstream; the product's own bound is 2 s. */
const PATIENCE_MS = 300;
const OVERHEAD_MS = 1_700;
/** How soon after upstream is well again, and the tag has moved, a pull is given the new image. */
const FRESH_WITHIN_MS = sized({ usual: 20_000, full: 60_000 });
/** How often the monitor looks at an image. */
const PERIOD_MS = sized({ usual: 2_000, full: 30_000 });
/** How soon after its publisher deleted them all the last is known to be an orphan: one period, and what a busy machine takes for as many checks. */
const ORPHANED_WITHIN_MS = PERIOD_MS + sized({ usual: 8_000, full: 10_000 });
const EVENTS = '/api/v1/namespaces/default/events';
const TAGS_PAGE = readFileSync(new URL('../../docs/tags.md', import.meta.url), 'utf8');

/** What upstream does to whoever asks for a manifest, phase after phase; it is well in the third. */
const PHASES: ((upstream: FaultPicker) => void)[] = [
  (upstream) => void upstream.hang(),
  (upstream) => void upstream.answer(502),
  () => undefined,
  (upstream) => void upstream.answer(429, { retryAfter: 1 }),
];

interface ImageEvent {
  readonly reason?: string;
  readonly type?: string;
  readonly metadata: { readonly uid: string };
  readonly involvedObject?: { readonly uid?: string };
}

let stack: LocalStack;
let floor: ShopFloor;
const digestOf = async (tag: string) => floor.get(`${tag}`);

beforeAll(async () => {
  stack = await LocalStack.lease({
    replicas: ONE_OF_EACH,
    environment: {
      KUIK_TAGS_PATIENCE: `${PATIENCE_MS}ms`,
      KUIK_TAGS_AT_MOST_EVERY: '100ms',
      KUIK_MONITOR_INTERVAL: `${PERIOD_MS}ms`,
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

    const seen = { statuses: new Set<number>(), digests: new Set<string>(), slowestMs: 0, freshAt: 0, oldAgain: 0 };
    const pull = async () => {
      const { status, digest, ms, headers } = await digestOf('flapping/manifests/stable');
      const stale = headers['warning']?.startsWith('110 ') === true;
      seen.statuses.add(status);
      seen.digests.add(digest);
      seen.slowestMs = Math.max(seen.slowestMs, ms);
      if (digest === after.digest) seen.freshAt ||= performance.now();
      // Once the new one was seen, the old one may come back only as what is kept while upstream cannot say.
      else if (seen.freshAt > 0 && !stale) seen.oldAgain += 1;
      return { digest, stale };
    };
    const movedIn = Math.floor(ROUNDS / 2);
    let wellAt = Infinity;
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [phase, fault] of PHASES.entries()) {
        // Half way, while upstream cannot say so.
        if (round === movedIn && phase === 1) await floor.push('flapping', ['stable'], after);
        await stack.faults.reset();
        fault(stack.faults.host(HOST).on({ kind: 'manifest' }));
        if (round === movedIn && phase === 2) wellAt = performance.now();
        for (const until = performance.now() + PHASE_MS; performance.now() < until;) await pull();
      }
    }
    await stack.faults.reset();
    await floor.until('new pods to run the new image', async () => {
      const { digest, stale } = await pull();
      return digest === after.digest && !stale;
    });
    expect(seen.statuses).toEqual(new Set([200]));
    expect(seen.slowestMs).toBeLessThan(PATIENCE_MS + OVERHEAD_MS);
    expect(seen.digests).toEqual(new Set([before.digest, after.digest]));
    expect(seen.freshAt - wellAt).toBeLessThan(FRESH_WITHIN_MS);
    expect(seen.oldAgain).toBe(0);

    const [proxy] = stack.services['node-proxy'];
    expect(await stack.metric(proxy!, 'kuik_proxy_requests_total', { reason: 'CheckFailed' })).toBeGreaterThan(0);
    await floor.until('the event', async () => {
      const events = await stack.api.list<ImageEvent>(EVENTS);
      return events.some(({ reason }) => reason === 'ServedStale');
    });
  }, 900_000);

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

    const deletedAt = performance.now();
    for (const name of names) stack.faults.host(HOST).on({ repository: name }).gone();
    const pulled = await Promise.all(references.map((reference) => stack.pull(reference).then(({ digest }) => digest)));
    expect(pulled).toEqual(digests);

    const orphans = async () => {
      const images = await Promise.all(references.map((reference) => floor.image(reference)));
      return images.filter((image) => image?.status?.conditions?.some(({ type }) => type === 'Orphaned'));
    };
    const left = ORPHANED_WITHIN_MS - (performance.now() - deletedAt);
    await floor.until('every image to be called orphaned', async () => (await orphans()).length === WORKLOADS, left);
    await floor.until('an event for each', async () => {
      const events = await stack.api.list<ImageEvent>(EVENTS);
      const reported = events.filter(({ reason, type }) => reason === 'UpstreamDeleted' && type === 'Warning');
      const about = new Set(reported.map(({ involvedObject }) => involvedObject?.uid));
      return (await orphans()).every((image) => about.has(image!.metadata.uid));
    });
    // The alert and the list of docs/tags.md.
    expect(TAGS_PAGE).toContain('expr: max(kuik_orphaned_images) > 0');
    const told = await Promise.all(
      stack.services['pod-watcher'].map((process) => stack.metric(process, 'kuik_orphaned_images')),
    );
    expect(Math.max(...told)).toBe(WORKLOADS);
    const [, expression] = /^kubectl get cachedimages -o jsonpath='(.+)'$/m.exec(TAGS_PAGE)!;
    const listed = jsonpathLines(expression!, [...(await cachedImages(stack.api)).values()]);
    expect(listed.sort()).toEqual(references.map((reference, at) => `${reference}\t${digests[at]}\t1`).sort());

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
