import type { CachedImage } from '@kuik/contracts';
import { until } from '@kuik/testbed';
import { cachedImages, untilReady } from '../story/cached-images.ts';
import { pod } from '../story/pods.ts';
import type { LocalStack } from '../stack/local-stack.ts';
import { endState, type EndState } from './end-state.ts';
import { pushImages } from './images.ts';
import { Lives } from './lives.ts';
import { Puller, type PullRecord } from './puller.ts';
import { seeded } from './seeded.ts';

const LOOK_MS = 100;
const SETTLE_MS = 60_000;
/** Whose death cuts a body that a client is reading. */
const SERVING: ReadonlySet<string> = new Set(['cache-reader', 'upstream', 'node-proxy']);

export interface RoundResult {
  readonly state: EndState;
  readonly pulls: PullRecord[];
  readonly killed: string[];
  /** Bodies that the proxy continued from another place, or from the same one again, as far as its lives were seen. */
  readonly resumed: number;
}

/**
 * One round: images are pushed and used by pods, and pulled whole through the proxy, while, unless `calm`, every process of the system is
 * killed (SIGKILL) at a random moment and started again; who may be serving bytes, as soon as a long body has begun after that moment.
 * Ends when everything has settled. `name` keeps the images of rounds apart.
 */
export async function round(
  stack: LocalStack,
  name: string,
  seed: number,
  options: { calm: boolean },
): Promise<RoundResult> {
  const random = seeded(seed);
  const wanted = await pushImages(stack, name);
  const images = [...wanted.keys()];
  const lives = new Lives(stack.processes());
  const cached = new Set<string>();
  const looking = new AbortController();
  const puller = new Puller(wanted, {
    proxyLife: () => lives.of('node-proxy'),
    upstreamLife: () => lives.of('upstream'),
    isCached: (image) => cached.has(image),
  });
  const watching = watchCached(stack, cached, looking.signal);
  const victims = options.calm ? [] : random.shuffled(stack.processes());
  const proxy = stack.services['node-proxy'][0]!;
  const resumes = (): Promise<number> => stack.metric(proxy, 'kuik_proxy_resumes_total');
  let resumed = -(await resumes());
  try {
    const creating = createPods(stack, name, images, victims.length);
    for (const victim of victims) {
      await pause(50 + random.below(400));
      if (SERVING.has(victim.name)) {
        const options = { timeoutMs: SETTLE_MS, everyMs: 5, what: 'a long body to be on its way' };
        await until(() => puller.longBodyBegun(), options);
      }
      if (victim === proxy) resumed += await resumes();
      await lives.bounce(victim);
    }
    await creating;
    await untilReady(stack.api, images, () => undefined, SETTLE_MS);
    resumed += await resumes();
  } finally {
    looking.abort();
    await Promise.all([puller.stop(), watching]);
  }
  return { state: await settled(stack), pulls: puller.records, killed: lives.ended, resumed };
}

/** Pods one by one while things die; the API server itself may be away for a moment. */
async function createPods(stack: LocalStack, name: string, images: readonly string[], victims: number): Promise<void> {
  for (const [index, image] of images.entries()) {
    const object = pod(`${name}-${index}`, [{ name: 'app', image }]);
    await until(
      async () => {
        const found = await stack.api.find(`/api/v1/namespaces/default/pods/${object.metadata.name}`);
        if (found === undefined) await stack.api.create('/api/v1/namespaces/default/pods', object);
        return true;
      },
      { timeoutMs: SETTLE_MS, everyMs: 100, what: `pod ${object.metadata.name} to be created` },
    );
    if (victims > 0) await pause(300);
  }
}

/** Notes which images the system says it has cached; none of them goes away in a round. */
async function watchCached(stack: LocalStack, cached: Set<string>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // The API server dies too: then nothing new is known.
    const images = await cachedImages(stack.api).catch(() => new Map<string, CachedImage>());
    for (const [reference, { status }] of images) if (status?.phase === 'Ready') cached.add(reference);
    await pause(LOOK_MS);
  }
}

/** The state once it has stopped changing: the same five times in a row, half a second apart, with every service ready. */
async function settled(stack: LocalStack): Promise<EndState> {
  let last: EndState = [];
  let same = 0;
  return until(
    async () => {
      const now = await endState(stack);
      same = JSON.stringify(now) === JSON.stringify(last) ? same + 1 : 0;
      last = now;
      const working = now.some((line) => line.startsWith('image') && !line.includes(' Ready '));
      return same >= 5 && !working ? now : undefined;
    },
    { timeoutMs: SETTLE_MS, everyMs: 500, what: 'the end state to settle' },
  );
}

/** Time between faults is part of a round's script, not a wait for something. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
