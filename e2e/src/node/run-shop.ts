import { makeImage, makeIndex } from '@kuik/testbed';
import { seconds, short } from '../checklist.ts';
import { untilReady } from '../story/cached-images.ts';
import { expectEqual, expectTrue, step } from '../story/step.ts';
import { HOST } from '../story/world.ts';
import { endsAtOnce, eventsOf, statusesOf, untilGone, untilRuns, type NodeWorld, type RunPod } from './node-pods.ts';

const MiB = 1024 * 1024;
const DEPLOYMENT = '/apis/apps/v1/namespaces/default/deployments/shop';
const APP = 'shop';

interface Row {
  readonly name: string;
  /** What runs, by the runtime's own word. */
  readonly runs: string;
  readonly expected: string;
}

interface Running {
  readonly ms: number;
  readonly rows: readonly Row[];
  /** How often kubelet told that it pulled an image, and not that it had it. */
  readonly pulls: number;
}

/** By tag, by digest and in Docker's format: what a pod of the story uses, by container. */
function imagesOfShop(world: NodeWorld): Record<'migrate' | 'app' | 'sidecar', { reference: string; digest: string }> {
  const of = (reference: string): { reference: string; digest: string } => ({
    reference,
    digest: world.pushed.get(reference)!.digest,
  });
  const log = world.pushed.get(`${HOST}/log:2.1`)!;
  return {
    migrate: of(`${HOST}/migrate:7`),
    app: of(`${HOST}/shop:1.0`),
    sidecar: of(`${HOST}/log@${log.digest}`),
  };
}

async function pushImages(world: NodeWorld): Promise<void> {
  const runnable = true;
  const layers = [6 * MiB, 2 * MiB, 4096];
  await world.push(HOST, 'log', ['2.1'], await makeImage({ seed: 'node/log', runnable, layers: [MiB] }));
  await world.push(HOST, 'shop', ['1.0'], await makeIndex({ seed: 'node/shop', runnable, layers, sharedLayers: 1 }));
  await world.push(HOST, 'migrate', ['7'], await makeImage({ seed: 'node/migrate', runnable, format: 'docker' }));
}

function deployment(world: NodeWorld): object {
  const { migrate, app, sidecar } = imagesOfShop(world);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop' },
    spec: {
      selector: { matchLabels: { app: APP } },
      template: {
        metadata: { labels: { app: APP } },
        spec: endsAtOnce({
          initContainers: [{ name: 'migrate', image: migrate.reference, args: ['and end'] }],
          containers: [
            { name: 'app', image: app.reference },
            { name: 'sidecar', image: sidecar.reference },
          ],
        }),
      },
    },
  };
}

async function look(world: NodeWorld, pod: RunPod, since: number): Promise<Running> {
  const ms = performance.now() - since;
  const images = imagesOfShop(world);
  const rows = statusesOf(pod).map(({ name, imageID }) => {
    const { reference, digest } = images[name as keyof typeof images];
    return { name, runs: imageID, expected: `${world.proxyPrefix}/${reference.replace(/[:@][^/]*$/, '')}@${digest}` };
  });
  const events = await eventsOf(world, pod.metadata.name);
  return { ms, rows, pulls: events.filter(({ message }) => message.startsWith('Successfully pulled image')).length };
}

function checkRunning({ rows, pulls }: Running): ReturnType<typeof expectEqual> {
  return [
    ...expectEqual('containers', ['migrate', 'app', 'sidecar'].sort(), rows.map(({ name }) => name).sort()),
    ...rows.flatMap(({ name, runs, expected }) => expectEqual(`what container ${name} runs`, expected, runs)),
    ...expectEqual('images that kubelet pulled', rows.length, pulls),
  ];
}

function tellRunning({ ms, rows }: Running): string[] {
  return [
    `running after ${seconds(ms)}`,
    ...rows.map(
      ({ name, runs }) => `${name.padEnd(8)} ${runs.replace(/@.*/, '').padEnd(48)} ${short(runs.split('@')[1])}`,
    ),
  ];
}

const breakages = [
  {
    name: 'a container that runs something else',
    bend: <O extends Running>(o: O): O => ({ ...o, rows: o.rows.map((row) => ({ ...row, runs: `${row.runs}0` })) }),
  },
  { name: 'a container too few', bend: <O extends Running>(o: O): O => ({ ...o, rows: o.rows.slice(1) }) },
  { name: 'an image that was there already', bend: <O extends Running>(o: O): O => ({ ...o, pulls: o.pulls - 1 }) },
];

/** Puts the images upstream, creates a Deployment and waits until its pod runs, on images that the node had to pull. */
export const shopRuns = step<NodeWorld, Running>({
  id: 'running',
  title: 'Deployment shop runs: containerd pulled its images through the proxy',
  logs: ['kubelet', 'containerd', 'node-proxy'],
  async act(world, progress) {
    progress('images to be pushed upstream');
    await pushImages(world);
    const since = performance.now();
    await world.api.create('/apis/apps/v1/namespaces/default/deployments', deployment(world));
    progress('the pod to run');
    return look(world, await untilRuns(world, APP), since);
  },
  check: checkRunning,
  tell: tellRunning,
  breakages,
});

interface Copied {
  readonly ms: number;
  readonly rows: readonly {
    readonly reference: string;
    readonly upstream: string;
    readonly cached: string | undefined;
  }[];
}

/** Waits until what the pod uses is cached. */
export const shopCached = step<NodeWorld, Copied>({
  id: 'cached',
  title: "every image of the pod cached; digests equal upstream's",
  logs: ['pod-watcher', 'image-copier'],
  async act(world, progress) {
    const since = performance.now();
    const images = Object.values(imagesOfShop(world));
    const cached = await untilReady(
      world.api,
      images.map(({ reference }) => reference),
      progress,
    );
    const rows = images.map(({ reference, digest }, at) => ({
      reference,
      upstream: digest,
      cached: cached[at]?.status?.cache?.digest,
    }));
    return { ms: performance.now() - since, rows };
  },
  check: ({ rows }) => [
    ...expectEqual('images cached', 3, rows.length),
    ...rows.flatMap(({ reference, upstream, cached }) => expectEqual(`digest of ${reference}`, upstream, cached)),
  ],
  tell: ({ rows, ms }) => [`${rows.length} images, ${seconds(ms)} later`],
  breakages: [
    { name: 'an image that is missing', bend: (o) => ({ ...o, rows: o.rows.slice(1) }) },
    {
      name: "a digest that is not upstream's",
      bend: (o) => ({ ...o, rows: o.rows.map((row) => ({ ...row, cached: undefined })) }),
    },
  ],
});

interface Again extends Running {
  /** Images that the node still had before the pod was created again. */
  readonly left: readonly string[];
  /** Requests that reached upstream meanwhile. */
  readonly upstreamRequests: number;
}

/** Takes the pod and every image off the node, and creates the pod again. */
export const shopRunsAgain = step<NodeWorld, Again>({
  id: 'again',
  title: 'images removed from the node, pod created again: running, with upstream dead',
  logs: ['kubelet', 'containerd', 'node-proxy', 'cache-reader'],
  async act(world, progress) {
    progress('the pod to end');
    await scaleShop(world, 0);
    await untilGone(world, APP);
    progress('its images to be removed from the node');
    await world.node.removeImages();
    const left = await world.node.images();
    const before = world.faults.log.total({ host: HOST }).requests;
    const since = performance.now();
    await scaleShop(world, 1);
    progress('the pod to run again');
    const running = await look(world, await untilRuns(world, APP), since);
    return { ...running, left, upstreamRequests: world.faults.log.total({ host: HOST }).requests - before };
  },
  check: (outcome) => [
    ...checkRunning(outcome),
    ...expectEqual('images left on the node', [], outcome.left),
    ...expectEqual('requests that upstream saw', 0, outcome.upstreamRequests),
  ],
  tell: tellRunning,
  breakages: [
    ...breakages,
    { name: 'an image that was left', bend: (o) => ({ ...o, left: ['x'] }) },
    { name: 'upstream was asked', bend: (o) => ({ ...o, upstreamRequests: 1 }) },
  ],
});

/** How many pods the Deployment shall have. */
export async function scaleShop(world: NodeWorld, replicas: number): Promise<void> {
  await world.api.request('PATCH', DEPLOYMENT, { spec: { replicas } }, { contentType: 'application/merge-patch+json' });
}

interface Always {
  readonly policy: unknown;
  readonly runs: string;
  readonly expected: string;
  readonly ms: number;
}

/** A pod whose image has to be asked for at each start, although nobody upstream can be asked. */
export const pulledAlways = step<NodeWorld, Always>({
  id: 'always',
  title: 'a pod with imagePullPolicy Always starts, with upstream dead',
  logs: ['kubelet', 'containerd', 'node-proxy'],
  async act(world, progress) {
    const { reference, digest } = imagesOfShop(world).app;
    const since = performance.now();
    const created = await world.api.create<RunPod>('/api/v1/namespaces/default/pods', {
      metadata: { name: 'always', labels: { app: 'always' } },
      spec: endsAtOnce({ containers: [{ name: 'app', image: reference, imagePullPolicy: 'Always' }] }),
    });
    progress('the pod to run');
    const pod = await untilRuns(world, 'always');
    const [container] = created.spec.containers as unknown as { imagePullPolicy: unknown }[];
    return {
      policy: container?.imagePullPolicy,
      runs: statusesOf(pod)[0]?.imageID ?? 'nothing',
      expected: `${world.proxyPrefix}/${HOST}/shop@${digest}`,
      ms: performance.now() - since,
    };
  },
  check: ({ policy, runs, expected }) => [
    ...expectEqual('pull policy', 'Always', policy),
    ...expectTrue('what it runs', runs === expected, expected, runs),
  ],
  tell: ({ ms, runs }) => [`running after ${seconds(ms)}: ${short(runs.split('@')[1])}`],
  breakages: [
    { name: 'another digest', bend: (o) => ({ ...o, runs: 'another' }) },
    { name: 'another policy', bend: (o) => ({ ...o, policy: 'IfNotPresent' }) },
  ],
});
