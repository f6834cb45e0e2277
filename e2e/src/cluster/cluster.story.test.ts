import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createKubeClient, PODS, type KubeClient } from '@kuik/kube';
import { makeIndex } from '@kuik/testbed';
import { LocalStack } from '../stack/local-stack.ts';
import { clusterWorld, type ClusterPod, type ClusterWorld } from './cluster-world.ts';
import { CLUSTER_STORY } from './story.ts';

let stack: LocalStack;
let kube: KubeClient;
let world: ClusterWorld;
const ending = new AbortController();
let nodes: Promise<void>;

beforeAll(async () => {
  stack = await LocalStack.start();
  kube = createKubeClient({ kubeconfig: stack.controlPlane.kubeconfig });
  world = clusterWorld(kube, { namespace: 'cluster-story', proxyPrefix: stack.proxyPrefix, patienceMs: 20_000 });
  await stack.push('docker.io', 'library/busybox', ['1.36'], await makeIndex({ seed: 'cluster', layers: [64 * 1024] }));
  // A control plane alone has neither controllers nor nodes.
  await stack.controlPlane.namespace(world.namespace);
  nodes = standInForNodes();
});
afterAll(async () => {
  ending.abort();
  await nodes;
  await kube?.close();
  await stack?.stop();
});

/** Binds the story's pods, really pulls their images through the proxy, and reports what a kubelet would. */
async function standInForNodes(): Promise<void> {
  const prefix = `${stack.proxyPrefix}/`;
  const { controlPlane } = stack;
  while (!ending.signal.aborted) {
    const { items } = await kube.list<ClusterPod>(PODS, { namespace: world.namespace });
    for (const { metadata, spec } of items.filter((pod) => pod.spec.nodeName === undefined)) {
      await controlPlane.bindPod(world.namespace, metadata.name);
      const image = spec.containers[0]!.image;
      const { digest } = await stack.pull(image.replace(prefix, ''), { all: true });
      const repository = image.replace(/(:[^:/@]+)?(@.*)?$/, '');
      const state = { terminated: { exitCode: 0 } };
      const container = {
        name: 'main',
        image,
        imageID: `${repository}@${digest}`,
        ready: false,
        restartCount: 0,
        state,
      };
      const status = { phase: 'Succeeded', containerStatuses: [container] };
      await kube.mergePatch(
        PODS,
        { name: metadata.name, namespace: world.namespace },
        { status },
        { subresource: 'status' },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('the main job, seen on any cluster through its API alone', () => {
  it.each(CLUSTER_STORY.map((step) => [step.title, step] as const))('%s', async (_title, step) => {
    const { good, broken } = await step.prove(world);
    expect(good).toEqual([]);
    expect(broken.length).toBeGreaterThan(0);
    for (const { name, problems } of broken)
      expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
  });
});
