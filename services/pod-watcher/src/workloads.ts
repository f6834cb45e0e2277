import {
  CRON_JOBS,
  DAEMON_SETS,
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  type Resource,
  STATEFUL_SETS,
} from '@kuik/kube';
import { type HolderView, needsOf, type PodTemplate, type Revision } from './holder-view.ts';

/** The fields of a workload that are read; all others are ignored. */
export interface WorkloadObject extends KubeObject {
  spec?: { replicas?: number; template?: PodTemplate; jobTemplate?: { spec?: { template?: PodTemplate } } };
  status?: {
    replicas?: number;
    completionTime?: string;
    conditions?: { type: string; status: string; lastTransitionTime?: string | null }[];
  };
}

/** A kind of Kubernetes' own whose objects pods are made of, and what is kept of one. */
export interface WorkloadKind {
  readonly resource: Resource;
  readonly view: (object: WorkloadObject, annotationKeys: readonly string[]) => HolderView;
}

const REVISION_ANNOTATIONS = ['deployment.kubernetes.io/revision', 'rollout.argoproj.io/revision'];

/** Suspended and scaled to zero count like all others: what they name is needed when they go on. */
export const WORKLOADS: readonly WorkloadKind[] = [
  ...[DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICATION_CONTROLLERS].map((resource) => ({
    resource,
    view: (object: WorkloadObject, keys: readonly string[]) => viewOf(resource, object, object.spec?.template, keys),
  })),
  { resource: REPLICA_SETS, view: viewReplicaSet },
  { resource: JOBS, view: viewJob },
  {
    resource: CRON_JOBS,
    view: (object, keys) => viewOf(CRON_JOBS, object, object.spec?.jobTemplate?.spec?.template, keys),
  },
];

function viewOf(
  { plural, kind }: Resource,
  { metadata }: WorkloadObject,
  template: PodTemplate | undefined,
  annotationKeys: readonly string[],
): HolderView {
  return {
    ...needsOf(template ?? {}, annotationKeys),
    source: plural,
    kind,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    deleting: metadata.deletionTimestamp !== undefined,
  };
}

/** One that its owner numbers is a revision of it; any other is a workload like the others: nobody knows what its owner makes it for. */
function viewReplicaSet(object: WorkloadObject, annotationKeys: readonly string[]): HolderView {
  const revision = revisionOf(object);
  const view = viewOf(REPLICA_SETS, object, object.spec?.template, annotationKeys);
  return revision === undefined ? view : { ...view, revision };
}

function revisionOf({ metadata, spec = {}, status = {} }: WorkloadObject): Revision | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const { annotations = {}, creationTimestamp = '' } = metadata;
  const number = REVISION_ANNOTATIONS.map((name) => Number(annotations[name])).find((told) => told > 0);
  if (owner === undefined || number === undefined) return undefined;
  const active = (spec.replicas ?? 1) > 0 || (status.replicas ?? 0) > 0;
  return { owner: owner.uid, number, createdAt: creationTimestamp, active };
}

function viewJob(object: WorkloadObject, annotationKeys: readonly string[]): HolderView {
  const view = viewOf(JOBS, object, object.spec?.template, annotationKeys);
  const { conditions = [], completionTime } = object.status ?? {};
  const ended = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');
  if (ended === undefined) return view;
  return { ...view, finishedAt: Date.parse(completionTime ?? ended.lastTransitionTime ?? '') || 0 };
}
