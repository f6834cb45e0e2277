import { describe, expect, it } from '@jest/globals';
import type { Resource } from '@kuik/kube';
import { imagesOf } from './images-of.ts';
import { deciderOf } from './testing/objects.ts';
import { holdsUntil } from './usage.ts';
import { type WorkloadObject, WORKLOADS } from './workloads.ts';

const HOLD = 1000;
const ENDED = '2026-11-01T12:00:00Z';
const decider = deciderOf();
const spec = {
  serviceAccountName: 'robot',
  imagePullSecrets: [{ name: 'cred' }],
  containers: [{ name: 'app', image: 'quay.io/a/app:1' }],
  initContainers: [{ name: 'init', image: 'localhost:7439/quay.io/a/init:1' }],
  volumes: [{ name: 'model', image: { reference: 'quay.io/a/model:1' } }],
};
const template = { metadata: { labels: {} as Record<string, string> }, spec };
const IMAGES = ['quay.io/a/app:1', 'quay.io/a/init:1', 'quay.io/a/model:1'];

const meta = { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1' };
const controller = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'owner-1', controller: true };
const numbered = { 'deployment.kubernetes.io/revision': '2' };

function view(plural: string, object: Omit<WorkloadObject, 'metadata'> & { metadata?: object }) {
  const kind = WORKLOADS.find(({ resource }) => resource.plural === plural)!;
  return kind.view({ ...object, metadata: { ...meta, ...object.metadata } }, []);
}
const plural = ({ plural, group = '' }: Resource) => `${plural}.${group}`;

describe('workloads', () => {
  it('are all kinds of Kubernetes that pods are made of', () => {
    expect(WORKLOADS.map(({ resource }) => plural(resource))).toEqual([
      'deployments.apps',
      'statefulsets.apps',
      'daemonsets.apps',
      'replicationcontrollers.',
      'replicasets.apps',
      'jobs.batch',
      'cronjobs.batch',
    ]);
  });

  it.each([
    ['deployments', { spec: { replicas: 0, template } }],
    ['statefulsets', { spec: { template } }],
    ['daemonsets', { spec: { template } }],
    ['replicationcontrollers', { spec: { replicas: 0, template } }],
    ['replicasets', { spec: { replicas: 0, template } }],
    ['jobs', { spec: { suspend: true, template } }],
    ['cronjobs', { spec: { suspend: true, jobTemplate: { spec: { template } } } }],
  ])('%s hold what their template names, with pods or without', (name, object) => {
    const seen = view(name, object);
    expect(imagesOf(seen, decider).used.map(({ image }) => image)).toEqual(IMAGES);
    expect(seen).toMatchObject({ source: name, namespace: 'shop', name: 'web', uid: 'u1', pullSecrets: ['cred'] });
    expect(seen.serviceAccount).toBe('robot');
    expect(holdsUntil(seen, HOLD)).toBe(Infinity);
  });

  it.each<[string, object, Record<string, string>, string]>([
    ['whose template opts out', {}, { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' }, 'OptedOut'],
    ['of an ignored namespace', { namespace: 'kube-system' }, {}, 'NamespaceIgnored'],
  ])('hold nothing that their registry is asked for, %s', (_name, metadata, labels, reason) => {
    const seen = view('deployments', { metadata, spec: { template: { metadata: { labels }, spec } } });
    const { used, skipped } = imagesOf(seen, decider);
    // What goes through the proxy is used whatever else is said, as in pods.
    expect(used.map(({ image }) => image)).toEqual(['quay.io/a/init:1']);
    expect(skipped.map((each) => each.reason)).toEqual([reason, reason]);
  });

  it('opt out by the label of the template, not by their own', () => {
    const labels = { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' };
    const seen = view('deployments', { metadata: { labels }, spec: { template } });
    expect(imagesOf(seen, decider).skipped).toEqual([]);
  });

  it.each<[string, object | undefined, number]>([
    ['runs', undefined, Infinity],
    ['is suspended', { conditions: [{ type: 'Suspended', status: 'True' }] }, Infinity],
    [
      'is complete',
      { completionTime: ENDED, conditions: [{ type: 'Complete', status: 'True' }] },
      Date.parse(ENDED) + HOLD,
    ],
    [
      'has failed',
      { conditions: [{ type: 'Failed', status: 'True', lastTransitionTime: ENDED }] },
      Date.parse(ENDED) + HOLD,
    ],
    ['has not failed', { conditions: [{ type: 'Failed', status: 'False' }] }, Infinity],
    ['is complete since nobody knows when', { conditions: [{ type: 'Complete', status: 'True' }] }, HOLD],
  ])('a job that %s holds until %s: %d', (_name, status, until) => {
    expect(holdsUntil(view('jobs', { spec: { template }, ...(status === undefined ? {} : { status }) }), HOLD)).toBe(
      until,
    );
  });

  it('hold nothing once they are being deleted', () => {
    const seen = view('deployments', { metadata: { deletionTimestamp: ENDED }, spec: { template } });
    expect(holdsUntil(seen, HOLD)).toBe(-Infinity);
  });

  it('without a template hold nothing', () => {
    expect(view('replicationcontrollers', { spec: {} }).images).toEqual([]);
    expect(view('cronjobs', {}).images).toEqual([]);
  });

  it.each<[string, object, object | undefined]>([
    [
      'one of an owner that numbers them',
      { ownerReferences: [controller], annotations: numbered },
      { owner: 'owner-1' },
    ],
    ['one of an owner that does not: it may be its only one', { ownerReferences: [controller] }, undefined],
    ['one without owner', {}, undefined],
    ['one whose owner does not control it', { ownerReferences: [{ ...controller, controller: false }] }, undefined],
    [
      "a Deployment's",
      { ownerReferences: [controller], annotations: { 'deployment.kubernetes.io/revision': '7' } },
      { number: 7 },
    ],
    [
      "a Rollout's",
      { ownerReferences: [controller], annotations: { 'rollout.argoproj.io/revision': '4' } },
      { number: 4 },
    ],
  ])('a ReplicaSet is a revision: %s', (_name, metadata, revision) => {
    const seen = view('replicasets', { metadata, spec: { replicas: 0, template } });
    if (revision === undefined) expect(seen.revision).toBeUndefined();
    else expect(seen.revision).toMatchObject(revision);
  });

  it.each([
    [0, 0, false],
    [1, 0, true],
    [0, 1, true],
    [undefined, undefined, true],
  ])('a revision of %s wanted and %s existing pods is active: %s', (wanted, existing, active) => {
    const seen = view('replicasets', {
      metadata: { ownerReferences: [controller], annotations: numbered },
      spec: { template, ...(wanted === undefined ? {} : { replicas: wanted }) },
      status: existing === undefined ? {} : { replicas: existing },
    });
    expect(seen.revision?.active).toBe(active);
  });
});
