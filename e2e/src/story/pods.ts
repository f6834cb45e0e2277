import type { KubeObject } from '@kuik/testbed';

export interface ContainerImage {
  readonly name: string;
  readonly image: string;
}

export interface PodSpec {
  containers: ContainerImage[];
  initContainers?: ContainerImage[];
  ephemeralContainers?: ContainerImage[];
  [field: string]: unknown;
}

export type Pod = KubeObject & { spec: PodSpec };

/** A pod object; its images are all that matters here. */
export function pod(
  name: string,
  containers: ContainerImage[],
  initContainers: ContainerImage[] = [],
  namespace = 'default',
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { containers, ...(initContainers.length === 0 ? {} : { initContainers }) },
  };
}

/** Every container of a pod with its image, in the order in which Kubernetes lists them. */
export function imagesOf(object: Pod): ContainerImage[] {
  const { initContainers = [], containers, ephemeralContainers = [] } = object.spec;
  return [...initContainers, ...containers, ...ephemeralContainers].map(({ name, image }) => ({ name, image }));
}
