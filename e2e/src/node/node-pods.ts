import { until, type ApiClient, type KubeObject, type RealNode } from '@kuik/testbed';
import type { Pod } from '../story/pods.ts';
import type { World } from '../story/world.ts';

/** A world whose pods really start. */
export type NodeWorld = World & { readonly node: RealNode };

/** Where pods are made and looked for: an API server, and a namespace of it (`default` unless it says another). */
export interface PodPlace {
  readonly api: ApiClient;
  readonly namespace?: string;
}

/** For a pod to be scheduled, its images to be pulled, its containers to run. */
const PATIENCE_MS = 40_000;

export interface ContainerStatus {
  readonly name: string;
  /** `localhost:7439/registry.example.test/shop@sha256:..`: what the runtime says it runs. */
  readonly imageID: string;
  readonly ready: boolean;
  readonly state: {
    readonly running?: object;
    readonly terminated?: { readonly exitCode: number };
    readonly waiting?: { readonly reason: string; readonly message?: string };
  };
}

export type RunPod = Pod & {
  metadata: { deletionTimestamp?: string };
  status?: {
    phase?: string;
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
};

/** What kubelet (and others) told about an object, in the words that `kubectl describe` shows. */
export interface PodEvent {
  readonly reason: string;
  readonly message: string;
}

/** A pod that ends as soon as it is told to, of containers whose image has the testbed's program. */
export function endsAtOnce(spec: object): object {
  return { terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, ...spec };
}

export function podsLabelled(place: PodPlace, app: string): Promise<RunPod[]> {
  return place.api.list<RunPod>(`${pathOf(place)}/pods?labelSelector=app%3D${app}`);
}

/** All its containers, those that have to end first in front. */
export function statusesOf({ status }: RunPod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** The one pod with the label once all its containers are ready; throws with what kubelet told when that takes too long. */
export function untilRuns(place: PodPlace, app: string): Promise<RunPod> {
  return until(
    async () => {
      const [pod] = (await podsLabelled(place, app)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      if (pod === undefined) return undefined;
      if (pod.status?.phase === 'Running' && pod.status.containerStatuses?.every(({ ready }) => ready)) return pod;
      throw new Error(await told(place, pod.metadata.name));
    },
    { what: `pod ${app} to run`, timeoutMs: PATIENCE_MS, everyMs: 50 },
  );
}

/** Waits until no pod with the label is left. */
export async function untilGone(place: PodPlace, app: string): Promise<void> {
  await until(async () => (await podsLabelled(place, app)).length === 0, {
    what: `pods of ${app} to be gone`,
    timeoutMs: PATIENCE_MS,
    everyMs: 50,
  });
}

/** Events of a pod, the oldest first. */
export async function eventsOf(place: PodPlace, pod: string): Promise<PodEvent[]> {
  const query = `fieldSelector=involvedObject.name%3D${pod}`;
  const events = await place.api.list<KubeObject & PodEvent>(`${pathOf(place)}/events?${query}`);
  return events.map(({ reason, message }) => ({ reason, message }));
}

/** The first event of a pod with the reason, whose text says more than that it failed. */
export function untilTold(place: PodPlace, pod: string, reason: string, text: RegExp): Promise<string> {
  return until(
    async () => {
      const events = await eventsOf(place, pod);
      const found = events.find((event) => event.reason === reason && text.test(event.message));
      if (found) return found.message;
      throw new Error(events.map((event) => `${event.reason}: ${event.message}`).join('; ') || 'no event');
    },
    { what: `event ${reason} of pod ${pod}`, timeoutMs: PATIENCE_MS, everyMs: 50 },
  );
}

async function told(place: PodPlace, pod: string): Promise<string> {
  const events = await eventsOf(place, pod);
  return events.map(({ reason, message }) => `${reason}: ${message}`).join('; ') || 'nothing was told about it';
}

/** Creates a pod of one container that waits to be told to end. */
export function runPod(place: PodPlace, name: string, image: string, spec: object = {}): Promise<RunPod> {
  return place.api.create<RunPod>(`${pathOf(place)}/pods`, {
    metadata: { name, labels: { app: name } },
    spec: endsAtOnce({ containers: [{ name: 'app', image }], ...spec }),
  });
}

export function removePod(place: PodPlace, name: string): Promise<void> {
  return place.api.delete(`${pathOf(place)}/pods/${name}?gracePeriodSeconds=0`);
}

function pathOf({ namespace = 'default' }: PodPlace): string {
  return `/api/v1/namespaces/${namespace}`;
}
