import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { accountOf, makePods, makeSecrets, pushImages, replacePods } from './rolling/rolling-restart.ts';
import { LocalStack, ONE_OF_EACH } from './stack/local-stack.ts';
import { REPLICAS } from './stack/start-replicas.ts';
import { untilReady } from './story/cached-images.ts';

const FULL = { pods: 5_000, images: 800, secrets: 30_000, windowMs: 180_000 };
/** The cluster is so many times smaller, and everything restarts so many times faster. */
const FACTOR = sized({ usual: 50, full: 1 });
const [PODS, IMAGES, SECRETS] = [FULL.pods / FACTOR, FULL.images / FACTOR, FULL.secrets / FACTOR];
const WINDOW_MS = FULL.windowMs / FACTOR;
const HOLDERS_MS = 30_000;
/** Buckets of the webhook's histogram: the machine that runs the usual size has more to do than this. */
const QUICK_SECONDS = sized({ usual: 0.1, full: 0.02 });
const RESIDENT_MIB = 256;
const TIMEOUT_MS = sized({ usual: 60_000, full: 1_800_000 });

let stack: LocalStack;
beforeAll(async () => {
  // The product's own pace, as many times faster.
  stack = await LocalStack.lease({
    environment: { KUIK_RECONCILE_HOLDERS: `${HOLDERS_MS / FACTOR}ms` },
    replicas: sized({ usual: ONE_OF_EACH, full: REPLICAS }),
  });
}, 60_000);
afterAll(() => stack?.stop());

it(
  'a rolling restart of everything ends no process, lists no Secret, and costs the API server a few writes per image',
  async () => {
    console.log(
      `1/${FACTOR} of ${FULL.pods} pods, ${FULL.images} images, ${FULL.secrets} secrets, ${FULL.windowMs / 1000} s`,
    );
    const [references] = await Promise.all([pushImages(stack, IMAGES), makeSecrets(stack, SECRETS)]);
    await makePods(stack, PODS, references);
    await untilReady(stack.api, references, () => undefined, TIMEOUT_MS);
    const processes = Object.values(stack.services).flat();
    const pids = processes.map(({ pid }) => pid);
    const before = await accountOf(stack, QUICK_SECONDS);

    const since = performance.now();
    await replacePods(stack, PODS, references, WINDOW_MS);
    await untilReady(stack.api, references, () => undefined, TIMEOUT_MS);
    const after = await accountOf(stack, QUICK_SECONDS);

    const admissions = after.admissions - before.admissions;
    const slow = admissions - (after.quick - before.quick);
    const writes = (after.writes - before.writes) / IMAGES;
    const most = mostWrites((performance.now() - since) / (HOLDERS_MS / FACTOR));
    console.log(
      `${writes.toFixed(2)} writes per image (at most ${most}), ${slow} of ${admissions} admissions took over ${QUICK_SECONDS * 1000} ms, ` +
        `pod-watcher ${after.residentMiB.toFixed(0)} MiB`,
    );
    expect(processes.map(({ pid }) => pid)).toEqual(pids);
    expect(after.secretLists).toBe(0);
    expect(admissions).toBeGreaterThanOrEqual(PODS);
    expect(slow).toBeLessThanOrEqual(Math.ceil(admissions / 100));
    expect(writes).toBeLessThanOrEqual(most);
    expect(after.residentMiB).toBeLessThanOrEqual(RESIDENT_MIB);
  },
  TIMEOUT_MS,
);

/** How often holders that never stop changing are told of, in so many times the least time between two words: at 0, 1, 3, 7 and so on; 3 in three minutes, and the last word after them. */
function mostWrites(times: number): number {
  return 2 + Math.floor(Math.log2(1 + times));
}
