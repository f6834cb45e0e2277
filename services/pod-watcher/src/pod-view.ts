import { ORIGINAL_IMAGES_ANNOTATION, pullSecretName, REQUEST_ID_ANNOTATION } from '@kuik/contracts';
import { originalImageKeyV1 } from '@kuik/image';
import type { KubeObject } from '@kuik/kube';
import { readEntries } from '@kuik/rules';
import { type HolderView, needsOf, type PodSpec, secretsOf } from './holder-view.ts';

/** The collection of pods, among those of holders. */
export const PODS_SOURCE = 'pods';

/** What is kept of a pod. */
export interface PodView extends HolderView {
  readonly node?: string;
  readonly phase: string;
  /** Of the admission that rewrote it: what the webhook's log says. */
  readonly requestId?: string;
  /** Who controls it; of several owners without a controller the first. */
  readonly owner?: PodOwner;
  /** Epoch ms, by the API server's clock, in whole seconds. */
  readonly createdAt?: number;
  /** Admission gave it the pull secret by which the proxy knows its service account. */
  readonly showsGrant?: true;
  /** It goes because of its node or for another pod (eviction, drain, preemption, taint), not because its owner wants it gone. */
  readonly disrupted?: true;
}

/** An owner of pods, as their references name it; it is in their namespace, or in none. */
export interface PodOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

interface ContainerStatus {
  state?: { terminated?: { finishedAt?: string | null } };
}

/** The fields of a pod that are read; all others are ignored. */
export interface PodObject extends KubeObject {
  spec?: PodSpec & {
    nodeName?: string;
    containers?: { name: string; image?: string; imagePullPolicy?: string }[];
    initContainers?: { name: string; image?: string; imagePullPolicy?: string }[];
  };
  status?: {
    phase?: string;
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    conditions?: { type?: string; status?: string; lastTransitionTime?: string | null }[];
  };
}

/** The projection of a pod: images, what decides who holds them, and what their credentials are. */
export function viewPod(pod: PodObject, annotationKeys: readonly string[]): PodView {
  const { metadata, spec = {}, status = {} } = pod;
  const phase = status.phase ?? 'Pending';
  const annotations = metadata.annotations ?? {};
  const originals = { ...originalsV1(pod), ...readEntries(annotations[ORIGINAL_IMAGES_ANNOTATION]) };
  const requestId = annotations[REQUEST_ID_ANNOTATION];
  const finishedAt = isCompleted(phase) ? completionTime(pod) : undefined;
  const owner = ownerOf(pod);
  const needs = needsOf({ metadata, spec }, annotationKeys);
  const showsGrant = secretsOf(spec).some((name) => name === pullSecretName(needs.serviceAccount));
  return {
    ...needs,
    source: PODS_SOURCE,
    kind: 'Pod',
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    ...(spec.nodeName ? { node: spec.nodeName } : {}),
    phase,
    deleting: metadata.deletionTimestamp !== undefined,
    ...(finishedAt === undefined ? {} : { finishedAt }),
    originals,
    ...(requestId === undefined ? {} : { requestId }),
    ...(owner === undefined ? {} : { owner }),
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
    ...(showsGrant ? { showsGrant } : {}),
    ...(isDisrupted(pod) ? { disrupted: true } : {}),
  };
}

/** Whether a holder is a pod: the one kind that is on a node. */
export function isPod(holder: HolderView): holder is PodView {
  return holder.source === PODS_SOURCE;
}

function ownerOf({ metadata: { ownerReferences = [] } }: PodObject): PodOwner | undefined {
  const found = ownerReferences.find(({ controller }) => controller === true) ?? ownerReferences[0];
  if (found === undefined) return undefined;
  const { apiVersion, kind, name, uid } = found;
  return { apiVersion, kind, name, uid };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions */
function isDisrupted({ status: { conditions = [] } = {} }: PodObject): boolean {
  return conditions.some(({ type, status }) => type === 'DisruptionTarget' && status === 'True');
}

/** No container of it runs or will run again. */
function isCompleted(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function originalsV1({ metadata, spec = {} }: PodObject): Record<string, string> {
  const annotations = metadata.annotations ?? {};
  const found: Record<string, string> = {};
  const look = (kind: string, containers: readonly { name: string }[] | undefined): void => {
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
