import { beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICES } from '@kuik/contracts';
import { chartObjects, type ChartObject } from './chart-objects.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}
interface Binding extends ChartObject {
  roleRef: { kind: string; name: string };
  subjects: { name: string; namespace: string }[];
}

let objects: ChartObject[];
beforeAll(async () => {
  objects = await chartObjects();
}, 30_000);

/** `[namespace: ]resource.group[=name]: verbs` of everything that is bound to a service account, sorted. */
function grants(account: string): string[] {
  const bindings = objects.filter(
    (object): object is Binding =>
      /RoleBinding$/.test(object.kind) && (object as Binding).subjects.some(({ name }) => name === account),
  );
  return bindings
    .flatMap(({ roleRef, metadata: { namespace } }) => {
      const role = objects.find(
        ({ kind, metadata }) =>
          kind === roleRef.kind &&
          metadata.name === roleRef.name &&
          (kind === 'ClusterRole' || metadata.namespace === namespace),
      );
      const where = namespace === undefined ? '' : `${namespace}: `;
      return (role!['rules'] as Rule[]).flatMap(({ apiGroups, resources, resourceNames = [''], verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            resourceNames.map(
              (name) =>
                `${where}${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : `=${name}`}: ${verbs.join(' ')}`,
            ),
          ),
        ),
      );
    })
    .sort();
}

const lease = (name: string): string[] => [
  // packages/kube/src/lease.ts
  'kuik-system: leases.coordination.k8s.io: create',
  `kuik-system: leases.coordination.k8s.io=${name}: get patch`,
];
const secret = (namespace: string, name: string): string => `${namespace}: secrets=${name}: get patch`;

// What each service calls, from its code. A verb more is a risk without a use; one less shows on the local stack, whose services have
// these roles. Whoever applies a stanza also gets the object: one that met another object is withdrawn (packages/kube/src/client.ts).
const CALLS: Readonly<Record<string, readonly string[]>> = {
  webhook: [
    // ca-bundle.ts
    'mutatingwebhookconfigurations.admissionregistration.k8s.io=kuik-webhook: get patch',
    // installed-policy.ts; an apply creates what is missing
    'mutatingadmissionpolicies.admissionregistration.k8s.io=kuik-admission: get create patch delete',
    'mutatingadmissionpolicybindings.admissionregistration.k8s.io=kuik-admission: get create patch delete',
    // certificate-secret.ts
    'kuik-system: secrets: create',
    secret('kuik-system', 'kuik-webhook-ca'),
    // packages/kube/src/followed-config-map.ts
    'kuik-system: configmaps=kuik-spared-owners: list watch',
  ],
  'pod-watcher': [
    // wanted-platforms.ts
    'nodes: list watch',
    // watches.ts, workloads.ts
    ...['pods', 'namespaces', 'replicationcontrollers'].map((name) => `${name}: list watch`),
    ...['deployments', 'statefulsets', 'daemonsets', 'replicasets'].map((name) => `${name}.apps: list watch`),
    ...['jobs', 'cronjobs'].map((name) => `${name}.batch: list watch`),
    // secret-reader.ts
    'secrets: get',
    // pull-grant-writer.ts, unless private images are not looked after
    'secrets: create patch',
    'namespaces: get',
    'serviceaccounts: get',
    // resource-writer.ts; `delete` of a CachedImage: see the role
    'cachedimages.kuik.enix.io: get list watch create patch delete',
    'cachedimages/status.kuik.enix.io: patch',
    'repositories.kuik.enix.io: get list watch create patch delete',
    'repositories/status.kuik.enix.io: patch',
    // credential-broker.ts
    'tokenreviews.authentication.k8s.io: create',
    // packages/kube/src/event-recorder.ts
    'events.events.k8s.io: create patch',
    // spared-owners-writer.ts
    'kuik-system: configmaps: create',
    'kuik-system: configmaps=kuik-spared-owners: list watch patch',
    ...lease('kuik-pod-watcher'),
  ],
  // cached-images.ts
  'image-copier': ['cachedimages.kuik.enix.io: get', 'cachedimages/status.kuik.enix.io: patch'],
  monitor: [
    // candidates and record-upstream.ts
    'cachedimages.kuik.enix.io: get list watch',
    'cachedimages/status.kuik.enix.io: patch',
    ...lease('kuik-monitor'),
  ],
  gc: [
    // removal.ts, removal-stanza.ts
    'cachedimages.kuik.enix.io: get list watch patch delete',
    'cachedimages/status.kuik.enix.io: patch',
    'events.events.k8s.io: create patch',
    ...lease('kuik-gc'),
  ],
  'node-proxy': [],
  // secret-store.ts
  keys: [
    'kuik-system: secrets: create',
    'kuik-system-proxy: secrets: create',
    secret('kuik-system-proxy', 'kuik-keys-node-proxy'),
    ...['webhook', 'pod-watcher', 'image-copier', 'monitor', 'gc'].map((name) =>
      secret('kuik-system', `kuik-keys-${name}`),
    ),
    ...['nats', 'redis', 'registry', 'grants'].map((name) => secret('kuik-system', `kuik-${name}`)),
  ],
};

describe('what the chart lets each service do on the API server', () => {
  it.each([...SERVICES, 'keys'])('%s: what it calls, and nothing more', (service) => {
    expect(grants(`kuik-${service}`)).toEqual([...CALLS[service]!].sort());
  });

  it('writes no Secret of others when private images are not looked after', async () => {
    const off = await chartObjects({ 'global.privateImages.mode': 'off' });
    expect(off.filter(({ metadata }) => metadata.name.endsWith('pull-grants'))).toEqual([]);
    expect(objects.filter(({ metadata }) => metadata.name.endsWith('pull-grants'))).toHaveLength(2);
  });

  it('follows the kinds that the values name, with nothing but list and watch', async () => {
    const kinds = [
      { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', podTemplates: ['.spec.template'] },
      { apiVersion: 'example.test/v1', kind: 'Proxy', resource: 'proxies', images: ['.spec.image'] },
    ];
    const before = objects;
    objects = await chartObjects({}, { 'pod-watcher': { usage: { kinds } } });
    const more = grants('kuik-pod-watcher').filter((grant) => !CALLS['pod-watcher']!.includes(grant));
    objects = before;
    expect(more).toEqual(['proxies.example.test: list watch', 'rollouts.argoproj.io: list watch']);
  });

  it('is given to nobody else', () => {
    const accounts = objects
      .filter(({ kind }) => /RoleBinding$/.test(kind))
      .flatMap((object) => (object as Binding).subjects.map(({ name }) => name));
    expect(new Set(accounts)).toEqual(
      new Set([...SERVICES, 'keys'].filter((name) => CALLS[name]!.length > 0).map((name) => `kuik-${name}`)),
    );
  });
});
