import { makeImage, makeIndex, until, type PartProcess } from '@kuik/testbed';
import { untilReady } from '../story/cached-images.ts';
import { pod } from '../story/pods.ts';
import { HOST } from '../story/world.ts';
import type { LocalStack } from '../stack/local-stack.ts';
import { endState, type EndState } from './end-state.ts';
import { Puller, type PullRecord } from './puller.ts';
import { seeded } from './seeded.ts';

const KiB = 1024;
const SETTLE_MS = 60_000;

export interface RoundResult {
  readonly state: EndState;
  readonly pulls: PullRecord[];
  readonly killed: string[];
}

/**
 * One round: images are pushed and used by pods while, unless `calm`, every process of the system is killed (SIGKILL) at a random moment
 * and started again. Ends when everything has settled. `name` keeps the images of rounds apart.
 */
export async function round(
  stack: LocalStack,
  name: string,
  seed: number,
  options: { calm: boolean },
): Promise<RoundResult> {
  const random = seeded(seed);
  const wanted: { reference: string; path: string; digest: string }[] = [];
  const images = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const make = index % 2 === 0 ? makeIndex : makeImage;
      const image = await make({ seed: `faults/${index}`, layers: [64 * KiB, (1 + index) * 256 * KiB] });
      const pushed = await stack.push(HOST, `${name}/app-${index}`, ['1'], image);
      wanted.push({
        reference: `app-${index}`,
        path: `/v2/${HOST}/${name}/app-${index}/manifests/${index % 3 === 0 ? pushed.digest : '1'}`,
        digest: pushed.digest,
      });
      return index % 3 === 0 ? `${HOST}/${name}/app-${index}@${pushed.digest}` : `${HOST}/${name}/app-${index}:1`;
    }),
  );
  let proxyAlive = true;
  const puller = new Puller(stack, wanted, () => proxyAlive);
  const killed: string[] = [];
  const victims = options.calm ? [] : random.shuffled(stack.processes());
  try {
    const creating = createPods(stack, name, images, victims.length);
    for (const victim of victims) {
      await pause(50 + random.below(400));
      if (victim.name === 'node-proxy') proxyAlive = false;
      await bounce(victim);
      if (victim.name === 'node-proxy') proxyAlive = true;
      killed.push(victim.name);
    }
    await creating;
    await untilReady(stack.api, images, () => undefined, SETTLE_MS);
  } finally {
    await puller.stop();
  }
  return { state: await settled(stack), pulls: puller.records, killed };
}

/** Killed, and started again at once; what depends on it has to cope in between. */
async function bounce(victim: PartProcess): Promise<void> {
  await victim.kill('SIGKILL');
  await victim.restart();
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
