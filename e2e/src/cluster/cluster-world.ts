import type { CachedImage } from '@kuik/contracts';
import { formatReference, parseReference } from '@kuik/image';
import { CACHED_IMAGES, isKubeError, PODS, type KubeClient, type KubeObject } from '@kuik/kube';
import { until } from '@kuik/testbed';

/** What is looked at of a pod. */
export interface ClusterPod extends KubeObject {
  spec: { nodeName?: string; containers: { name: string; image: string }[] };
  status?: { phase?: string; containerStatuses?: { imageID: string; state?: object }[] };
}

/** A cluster on which kube-image-keeper is installed, through its API alone. */
export interface ClusterWorld {
  readonly kube: KubeClient;
  /** Where the story's pods live; made by the story, removed by `leave`. */
  readonly namespace: string;
  /** A public image of several platforms, in canonical form: `docker.io/library/busybox:1.36`. */
  readonly image: string;
  /** How images name the proxy: `localhost:7439`. */
  readonly proxyPrefix: string;
  /** What its container does: it has to end at once, as any user. */
  readonly command: readonly string[];
  /** How long a copy, or a pod's start, may take. */
  readonly patienceMs: number;
  processes(): [];
}

export interface ClusterOptions {
  readonly namespace?: string;
  readonly image?: string;
  readonly proxyPrefix?: string;
  readonly command?: readonly string[];
  readonly patienceMs?: number;
}

export function clusterWorld(kube: KubeClient, options: ClusterOptions = {}): ClusterWorld {
  const image = options.image ?? 'docker.io/library/busybox:1.36';
  return {
    kube,
    namespace: options.namespace ?? `kuik-e2e-${Date.now().toString(36)}`,
    image: formatReference(parseReference(image)),
    proxyPrefix: options.proxyPrefix ?? 'localhost:7439',
    command: options.command ?? ['true'],
    patienceMs: options.patienceMs ?? 180_000,
    processes: () => [],
  };
}

/** Makes the story's namespace and waits until pods can be created in it. */
export async function enter({ kube, namespace, patienceMs }: ClusterWorld): Promise<void> {
  await kube.raw('PATCH', `/api/v1/namespaces/${namespace}?fieldManager=kuik-e2e`, body('Namespace', namespace), {
    contentType: 'application/apply-patch+yaml',
  });
  await until(() => found(kube.raw('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)), {
    timeoutMs: patienceMs,
    what: `ServiceAccount ${namespace}/default`,
  });
}

/** Removes the story's namespace with its pods; images that were cached go when they expire. */
export async function leave({ kube, namespace }: ClusterWorld): Promise<void> {
  await found(kube.raw('DELETE', `/api/v1/namespaces/${namespace}`));
}

/** The CachedImage of a canonical reference once it is Ready; throws with its phase and error when it takes too long. */
export function readyImage(world: ClusterWorld, reference: string): Promise<CachedImage> {
  return until(
    async () => {
      const { items } = await world.kube.list<CachedImage>(CACHED_IMAGES);
      const image = items.find(({ spec }) => formatReference(parseReference(spec.sourceImage)) === reference);
      if (image?.status?.phase === 'Ready') return image;
      const why = image?.status?.cache?.error?.message ?? '';
      throw new Error(image === undefined ? 'no CachedImage' : `${image.status?.phase ?? 'no phase'} ${why}`.trim());
    },
    { timeoutMs: world.patienceMs, everyMs: 250, what: `CachedImage of ${reference} to be Ready` },
  );
}

/** Creates a pod of one container that ends at once; returns it as it was admitted. */
export function createPod(
  { kube, namespace, command }: ClusterWorld,
  name: string,
  image: string,
): Promise<ClusterPod> {
  return kube.create<ClusterPod>(PODS, podOf(name, image, command), { namespace });
}

/** The same pod as it would be admitted; nothing is created. */
export function tryPod({ kube, namespace, command }: ClusterWorld, name: string, image: string): Promise<ClusterPod> {
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
  return kube.raw<ClusterPod>('POST', path, podOf(name, image, command));
}

function podOf(name: string, image: string, command: readonly string[]): object {
  const securityContext = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 65532,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const container = { name: 'main', image, command, securityContext };
  return { ...body('Pod', name), spec: { restartPolicy: 'Never', containers: [container] } };
}

function body(kind: string, name: string): object {
  return { apiVersion: 'v1', kind, metadata: { name } };
}

/** The answer, or undefined when there is no such thing. */
export async function found<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isKubeError(error) && error.code === 'not-found') return undefined;
    throw error;
  }
}
