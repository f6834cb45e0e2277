import { ORIGINAL_IMAGES_ANNOTATION, REQUEST_ID_ANNOTATION } from '@kuik/contracts';
import { originalImageKeyV1 } from '@kuik/image';
import type { KubeObject } from '@kuik/kube';
import { ALL_KINDS, imageSlots, type PodFacts } from '@kuik/rules';

/** One image that a pod names: `c:` container, `i:` init container, `e:` ephemeral container, `v:` image volume. */
export interface PodImage {
  readonly key: string;
  readonly image: string;
  readonly pullPolicy?: string | undefined;
}

/** What is kept of a pod. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node?: string;
  readonly phase: string;
  readonly deleting: boolean;
  /** When a completed pod completed, epoch ms. */
  readonly finishedAt?: number;
  readonly images: readonly PodImage[];
  /** What was written before the webhook, by key; kuik v1's annotations included. */
  readonly originals: Readonly<Record<string, string>>;
  /** What the rules look at beside its images. */
  readonly facts: Pick<PodFacts, 'labels' | 'annotations' | 'priorityClassName'>;
  readonly pullSecrets: readonly string[];
  readonly serviceAccount: string;
  /** Of the admission that rewrote it: what the webhook's log says. */
  readonly requestId?: string;
}

interface Container {
  name: string;
  image?: string;
  imagePullPolicy?: string;
}

interface ContainerStatus {
  state?: { terminated?: { finishedAt?: string | null } };
}

/** The fields of a pod that are read; all others are ignored. */
export interface PodObject extends KubeObject {
  spec?: {
    nodeName?: string;
    serviceAccountName?: string;
    priorityClassName?: string;
    imagePullSecrets?: { name?: string }[];
    containers?: Container[];
    initContainers?: Container[];
    ephemeralContainers?: Container[];
    volumes?: { name: string; image?: { reference?: string; pullPolicy?: string } }[];
  };
  status?: {
    phase?: string;
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    conditions?: { lastTransitionTime?: string | null }[];
  };
}

/**
 * The projection of a pod: images, what decides who holds them, and what their credentials are. Of its annotations those stay that the
 * rules look at, by key: others are most of a pod's size.
 */
export function viewPod(pod: PodObject, annotationKeys: readonly string[]): PodView {
  const { metadata, spec = {}, status = {} } = pod;
  const phase = status.phase ?? 'Pending';
  const annotations = metadata.annotations ?? {};
  const originals = { ...originalsV1(pod), ...readOriginals(annotations[ORIGINAL_IMAGES_ANNOTATION]) };
  const requestId = annotations[REQUEST_ID_ANNOTATION];
  const finishedAt = isCompleted(phase) ? completionTime(pod) : undefined;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    ...(spec.nodeName ? { node: spec.nodeName } : {}),
    phase,
    deleting: metadata.deletionTimestamp !== undefined,
    ...(finishedAt === undefined ? {} : { finishedAt }),
    images: imageSlots(spec, ALL_KINDS).map(({ key, image, pullPolicy }) => ({ key, image, pullPolicy })),
    originals,
    facts: {
      labels: metadata.labels,
      annotations: picked(annotations, annotationKeys),
      priorityClassName: spec.priorityClassName,
    },
    pullSecrets: (spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : [])),
    serviceAccount: spec.serviceAccountName ?? 'default',
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** No container of it runs or will run again. */
export function isCompleted(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function picked(
  annotations: Readonly<Record<string, string>>,
  keys: readonly string[],
): Record<string, string> | undefined {
  const found = keys.flatMap((key): [string, string][] => {
    const value = annotations[key];
    return value === undefined ? [] : [[key, value]];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

function readOriginals(annotation: string | undefined): Record<string, string> {
  if (annotation === undefined) return {};
  try {
    const parsed = JSON.parse(annotation) as unknown;
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return {};
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    // Anybody may write annotations; the image itself is the truth.
    return {};
  }
}

function originalsV1({ metadata, spec = {} }: PodObject): Record<string, string> {
  const annotations = metadata.annotations ?? {};
  const found: Record<string, string> = {};
  const look = (kind: string, containers: readonly Container[] | undefined): void => {
    for (const { name } of containers ?? []) {
      const original = annotations[originalImageKeyV1(name, kind === 'i')];
      if (original !== undefined) found[`${kind}:${name}`] = original;
    }
  };
  look('c', spec.containers);
  look('i', spec.initContainers);
  return found;
}

/** The last end of a container; else the last change of a condition; else the pod's creation. */
function completionTime({ metadata, status = {} }: PodObject): number {
  const latest = (times: (string | null | undefined)[]): number =>
    Math.max(...times.map((time) => (time ? Date.parse(time) : NaN)).filter((time) => !Number.isNaN(time)));
  const statuses = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
  const ended = latest(statuses.map(({ state }) => state?.terminated?.finishedAt));
  if (Number.isFinite(ended)) return ended;
  const changed = latest((status.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime));
  return Number.isFinite(changed) ? changed : Date.parse(metadata.creationTimestamp ?? '') || 0;
}
