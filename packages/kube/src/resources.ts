import { GROUP, VERSION } from '@kuik/contracts';
import type { Resource } from './port.ts';

export const PODS: Resource = { version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
export const NODES: Resource = { version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
export const NAMESPACES: Resource = { version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
export const CONFIG_MAPS: Resource = { version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
export const SECRETS: Resource = { version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
export const SERVICE_ACCOUNTS: Resource = {
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};
export const EVENTS: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};
export const MUTATING_WEBHOOK_CONFIGURATIONS: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  namespaced: false,
};
export const MUTATING_ADMISSION_POLICIES: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingadmissionpolicies',
  kind: 'MutatingAdmissionPolicy',
  namespaced: false,
};
export const MUTATING_ADMISSION_POLICY_BINDINGS: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingadmissionpolicybindings',
  kind: 'MutatingAdmissionPolicyBinding',
  namespaced: false,
};
export const CUSTOM_RESOURCE_DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
export const CACHED_IMAGES: Resource = {
  group: GROUP,
  version: VERSION,
  plural: 'cachedimages',
  kind: 'CachedImage',
  namespaced: false,
};
export const REPOSITORIES: Resource = {
  group: GROUP,
  version: VERSION,
  plural: 'repositories',
  kind: 'Repository',
  namespaced: false,
};

const workload = (plural: string, kind: string, group?: string): Resource => ({
  ...(group === undefined ? {} : { group }),
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});
export const DEPLOYMENTS = workload('deployments', 'Deployment', 'apps');
export const STATEFUL_SETS = workload('statefulsets', 'StatefulSet', 'apps');
export const DAEMON_SETS = workload('daemonsets', 'DaemonSet', 'apps');
export const REPLICA_SETS = workload('replicasets', 'ReplicaSet', 'apps');
export const REPLICATION_CONTROLLERS = workload('replicationcontrollers', 'ReplicationController');
export const JOBS = workload('jobs', 'Job', 'batch');
export const CRON_JOBS = workload('cronjobs', 'CronJob', 'batch');
