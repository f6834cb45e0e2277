import { until, type KubeObject, type RealNode } from '@kuik/testbed';
import type { Pod } from '../story/pods.ts';
import type { World } from '../story/world.ts';

/** A world whose pods really start. */
export type NodeWorld = World & { readonly node: RealNode };

const PODS = '/api/v1/namespaces/default/pods';
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

export function podsLabelled(world: NodeWorld, app: string): Promise<RunPod[]> {
  return world.api.list<RunPod>(`${PODS}?labelSelector=app%3D${app}`);
}

/** All its containers, those that have to end first in front. */
export function statusesOf({ status }: RunPod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** The one pod with the label once all its containers are ready; throws with what kubelet told when that takes too long. */
export function untilRuns(world: NodeWorld, app: string): Promise<RunPod> {
  return until(
    async () => {
      const [pod] = (await podsLabelled(world, app)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      if (pod === undefined) return undefined;
      if (pod.status?.phase === 'Running' && pod.status.containerStatuses?.every(({ ready }) => ready)) return pod;
      throw new Error(await told(world, pod.metadata.name));
    },
    { what: `pod ${app} to run`, timeoutMs: PATIENCE_MS, everyMs: 50 },
  );
}

/** Waits until no pod with the label is left. */
export async function untilGone(world: NodeWorld, app: string): Promise<void> {
  await until(async () => (await podsLabelled(world, app)).length === 0, {
    what: `pods of ${app} to be gone`,
    timeoutMs: PATIENCE_MS,
    everyMs: 50,
  });
}

/** Events of a pod, the oldest first. */
export async function eventsOf(world: NodeWorld, pod: string): Promise<PodEvent[]> {
  const query = `fieldSelector=involvedObject.name%3D${pod}`;
  const events = await world.api.list<KubeObject & PodEvent>(`/api/v1/namespaces/default/events?${query}`);
  return events.map(({ reason, message }) => ({ reason, message }));
}

/** The first event of a pod with the reason, whose text says more than that it failed. */
export function untilTold(world: NodeWorld, pod: string, reason: string, text: RegExp): Promise<string> {
  return until(
    async () => {
      const events = await eventsOf(world, pod);
      const found = events.find((event) => event.reason === reason && text.test(event.message));
      if (found) return found.message;
      throw new Error(events.map((event) => `${event.reason}: ${event.message}`).join('; ') || 'no event');
    },
    { what: `event ${reason} of pod ${pod}`, timeoutMs: PATIENCE_MS, everyMs: 50 },
  );
}

async function told(world: NodeWorld, pod: string): Promise<string> {
  const events = await eventsOf(world, pod);
  return events.map(({ reason, message }) => `${reason}: ${message}`).join('; ') || 'nothing was told about it';
}

/** Creates a pod of one container that waits to be told to end. */
export function runPod(world: NodeWorld, name: string, image: string, spec: object = {}): Promise<RunPod> {
  return world.api.create<RunPod>(PODS, {
    metadata: { name, labels: { app: name } },
    spec: endsAtOnce({ containers: [{ name: 'app', image }], ...spec }),
  });
}

export function removePod(world: NodeWorld, name: string): Promise<void> {
  return world.api.delete(`${PODS}/${name}?gracePeriodSeconds=0`);
}
