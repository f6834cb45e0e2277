import type { ControlPlane } from '@kuik/testbed';

const APPS = '/apis/apps/v1/namespaces/default';

interface HolderKind {
  readonly kind: string;
  /** Where such objects are. */
  readonly path: string;
  /** Its collection, as a watch names it. */
  readonly collection: string;
}

/** Who holds the images of the story, by the name of the object and of its image's repository. */
export const HOLDERS = {
  running: { kind: 'Pod', path: '/api/v1/namespaces/default/pods', collection: 'pods' },
  idle: { kind: 'Deployment', path: `${APPS}/deployments`, collection: 'deployments' },
  nightly: { kind: 'CronJob', path: '/apis/batch/v1/namespaces/default/cronjobs', collection: 'cronjobs' },
  previous: { kind: 'ReplicaSet', path: `${APPS}/replicasets`, collection: 'replicasets' },
  leaving: { kind: 'Pod', path: '/api/v1/namespaces/default/pods', collection: 'pods' },
} as const satisfies Record<string, HolderKind>;
export type HolderName = keyof typeof HOLDERS;

/** Those that stay. */
export const KEPT: readonly HolderName[] = ['running', 'idle', 'nightly', 'previous'];

/** Creates what holds an image. The ReplicaSet is the revision before the current one of a Deployment; that one has no image of the story. */
export async function makeHolder(controlPlane: ControlPlane, name: HolderName, image: string): Promise<void> {
  const { kind, path } = HOLDERS[name];
  const { api } = controlPlane;
  if (kind === 'ReplicaSet') await api.create(path, revision('current', '2', 'unused.invalid/current:1'));
  await api.create(path, objectOf(name, image));
  if (kind === 'Pod') await controlPlane.bindPod('default', name);
}

function objectOf(name: HolderName, image: string): object {
  const metadata = { name };
  switch (HOLDERS[name].kind) {
    case 'Pod':
      return { metadata, spec: containers(image) };
    case 'Deployment':
      return { metadata, spec: workload(name, image) };
    case 'CronJob': {
      const template = { spec: { ...containers(image), restartPolicy: 'Never' } };
      return { metadata, spec: { schedule: '0 3 * * *', suspend: true, jobTemplate: { spec: { template } } } };
    }
    case 'ReplicaSet':
      return revision(name, '1', image);
  }
}

function revision(name: string, number: string, image: string): object {
  const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'uid-of-web', controller: true };
  const annotations = { 'deployment.kubernetes.io/revision': number };
  return { metadata: { name, annotations, ownerReferences: [owner] }, spec: workload(name, image) };
}

function workload(name: string, image: string): object {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: containers(image) };
  return { replicas: 0, selector: { matchLabels: labels }, template };
}

function containers(image: string): object {
  return { containers: [{ name: 'app', image }] };
}
