import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createKubeClient, createReflector, PODS, type KubeClient, type Reflector } from '@kuik/kube';
import { makeIndex } from '@kuik/testbed';
import { LocalStack } from '../stack/local-stack.ts';
import { clusterWorld, type ClusterPod, type ClusterWorld } from './cluster-world.ts';
import { CLUSTER_STORY } from './story.ts';

let stack: LocalStack;
let kube: KubeClient;
let world: ClusterWorld;
let nodes: Reflector<ClusterPod>;
/** What became of each pod, in the order of their creation. */
const runs: Promise<unknown>[] = [];

beforeAll(async () => {
  stack = await LocalStack.start();
  kube = createKubeClient({ kubeconfig: stack.controlPlane.kubeconfig });
  world = clusterWorld(kube, { namespace: 'cluster-story', proxyPrefix: stack.proxyPrefix, patienceMs: 20_000 });
  await stack.push('docker.io', 'library/busybox', ['1.36'], await makeIndex({ seed: 'cluster', layers: [64 * 1024] }));
  // A control plane alone has neither controllers nor nodes.
  await stack.controlPlane.namespace(world.namespace);
  nodes = standInForNodes();
  nodes.start();
});
afterAll(async () => {
  await nodes?.stop();
  await Promise.allSettled(runs);
  await kube?.close();
  await stack?.stop();
});

/** Follows the story's pods and runs each new one. */
function standInForNodes(): Reflector<ClusterPod> {
  return createReflector<ClusterPod, ClusterPod>({
    client: kube,
    resource: PODS,
    namespace: world.namespace,
    project: (object) => object,
    onChange: ({ old, now }) => {
      if (old !== undefined || now === undefined) return;
      const ran = run(now);
      // Told at the end: until then the story itself tells what it misses.
      ran.catch(() => undefined);
      runs.push(ran);
    },
  });
}

/** Binds a pod, really pulls its image through the proxy, and reports what a kubelet would. */
async function run({ metadata: { name }, spec }: ClusterPod): Promise<void> {
  const { namespace } = world;
  await stack.controlPlane.bindPod(namespace, name);
  const image = spec.containers[0]!.image;
  const { digest } = await stack.pull(image.replace(`${stack.proxyPrefix}/`, ''), { all: true });
  const repository = image.replace(/(:[^:/@]+)?(@.*)?$/, '');
  const state = { terminated: { exitCode: 0 } };
  const container = { name: 'main', image, imageID: `${repository}@${digest}`, ready: false, restartCount: 0, state };
  const status = { phase: 'Succeeded', containerStatuses: [container] };
  await kube.mergePatch(PODS, { name, namespace }, { status }, { subresource: 'status' });
}

describe('the main job, seen on any cluster through its API alone', () => {
  afterAll(() => Promise.all(runs));

  it.each(CLUSTER_STORY.map((step) => [step.title, step] as const))('%s', async (_title, step) => {
    const { good, broken } = await step.prove(world);
    expect(good).toEqual([]);
    expect(broken.length).toBeGreaterThan(0);
    for (const { name, problems } of broken)
      expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
  });
});
