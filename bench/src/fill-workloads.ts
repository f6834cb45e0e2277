import { atOnce } from './at-once.ts';
import type { RestartBed } from './restart-bed.ts';
import { runningPod } from './running-pod.ts';

const APPS = '/apis/apps/v1/namespaces/default';
const BATCH = '/apis/batch/v1/namespaces/default';
const KINDS = [
  'deployments',
  'replicasets',
  'replicasets',
  'replicasets',
  'statefulsets',
  'daemonsets',
  'cronjobs',
  'jobs',
] as const;

/** Creates workload objects of all kinds, each of two containers; a Deployment has three revisions. None of them makes pods here. */
export function addWorkloads(bed: RestartBed, count: number, imageOf: (index: number) => string): Promise<void> {
  return atOnce(0, count, async (index) => {
    const images = [imageOf(index), imageOf(index * 7 + 3)] as const;
    const plural = KINDS[index % KINDS.length]!;
    const where = plural === 'cronjobs' || plural === 'jobs' ? BATCH : APPS;
    await bed.controlPlane.api.create(`${where}/${plural}`, workload(plural, index, images));
  });
}

function workload(plural: (typeof KINDS)[number], index: number, images: readonly [string, string]): object {
  const name = `work-${index}`;
  const { nodeName: _node, ...written } = runningPod(name, images, undefined).object.spec;
  const labels = { app: name };
  const template = { metadata: { labels }, spec: written };
  const once = { metadata: { labels }, spec: { ...written, restartPolicy: 'Never' } };
  const [metadata, spec] = [{ name }, { selector: { matchLabels: labels }, template }];
  switch (plural) {
    case 'cronjobs':
      return { metadata, spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: once } } } };
    case 'jobs':
      return { metadata, spec: { template: once } };
    case 'statefulsets':
      return { metadata, spec: { ...spec, serviceName: name, replicas: 2 } };
    case 'replicasets':
      return {
        metadata: { name, ...revisionOf(index) },
        spec: { ...spec, replicas: index % KINDS.length === 1 ? 2 : 0 },
      };
    default:
      return { metadata, spec };
  }
}

/** The three ReplicaSets after a Deployment are its own. */
function revisionOf(index: number): object {
  const number = 4 - (index % KINDS.length);
  const owner = index - (index % KINDS.length);
  return {
    annotations: { 'deployment.kubernetes.io/revision': String(number) },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'Deployment', name: `work-${owner}`, uid: `uid-${owner}`, controller: true },
    ],
  };
}

/** Creates CustomResourceDefinitions that nobody here reads. */
export function addDefinitions(bed: RestartBed, count: number): Promise<void> {
  return atOnce(0, count, async (index) => {
    const names = { plural: `things${index}`, singular: `thing${index}`, kind: `Thing${index}` };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = [{ name: 'v1', served: true, storage: true, schema }];
    await bed.controlPlane.api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${names.plural}.ballast.example.test` },
      spec: { group: 'ballast.example.test', scope: 'Namespaced', names, versions },
    });
  });
}

/** Creates Secrets that nobody may list. */
export function addSecrets(bed: RestartBed, count: number): Promise<void> {
  return atOnce(0, count, async (index) => {
    const stringData = { password: `${index}`.repeat(20) };
    await bed.controlPlane.api.create('/api/v1/namespaces/default/secrets', {
      metadata: { name: `ballast-${index}` },
      stringData,
    });
  });
}
