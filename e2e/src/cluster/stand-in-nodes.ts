import { createReflector, PODS, type KubeClient } from '@kuik/kube';
import type { LocalStack } from '../stack/local-stack.ts';
import type { ClusterPod } from './cluster-world.ts';

export interface StandInNodes {
  /** Ends, and throws what kept a pod from running. */
  stop(): Promise<void>;
}

/** A control plane alone has no nodes: follows a namespace's pods and does with each new one what a scheduler and a kubelet would. */
export function standInForNodes(stack: LocalStack, kube: KubeClient, namespace: string): StandInNodes {
  const runs: Promise<void>[] = [];
  const pods = createReflector<ClusterPod, ClusterPod>({
    client: kube,
    resource: PODS,
    namespace,
    project: (object) => object,
    onChange: ({ old, now }) => {
      if (old !== undefined || now === undefined) return;
      const ran = run(stack, kube, namespace, now);
      // Told at the end: until then whoever waits for the pod tells what it misses.
      ran.catch(() => undefined);
      runs.push(ran);
    },
  });
  pods.start();
  return {
    stop: async () => {
      await pods.stop();
      await Promise.all(runs);
    },
  };
}

/** Binds a pod, really pulls its image through the proxy, and reports what a kubelet would. */
async function run(
  stack: LocalStack,
  kube: KubeClient,
  namespace: string,
  { metadata: { name }, spec }: ClusterPod,
): Promise<void> {
  await stack.controlPlane.bindPod(namespace, name);
  const image = spec.containers[0]!.image;
  const { digest } = await stack.pull(image.replace(`${stack.proxyPrefix}/`, ''), { all: true });
  const repository = image.replace(/(:[^:/@]+)?(@.*)?$/, '');
  const state = { terminated: { exitCode: 0 } };
  const container = { name: 'main', image, imageID: `${repository}@${digest}`, ready: false, restartCount: 0, state };
  const status = { phase: 'Succeeded', containerStatuses: [container] };
  await kube.mergePatch(PODS, { name, namespace }, { status }, { subresource: 'status' });
}
