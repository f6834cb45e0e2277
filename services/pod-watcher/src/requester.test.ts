import { describe, expect, it } from '@jest/globals';
import { pullSourcesFor } from './pull-sources.ts';
import type { HolderView } from './holder-view.ts';
import { type Requester, requesterOf } from './requester.ts';
import { cachedImage, podView, repository } from './testing/objects.ts';

const rules = {
  audience: 'kuik-broker',
  nodeProxies: ['proxy/kuik-node-proxy'],
  services: ['kuik/kuik-monitor', 'kuik/kuik-image-copier'],
  monitor: 'kuik/kuik-monitor',
};
const review = (account: string, change = {}) => ({
  authenticated: true,
  audiences: ['kuik-broker'],
  username: `system:serviceaccount:${account.replace('/', ':')}`,
  ...change,
});
const NODE = { nodeName: 'node-1' };

describe('requesterOf', () => {
  it.each([
    [
      'the service that checks',
      review('kuik/kuik-monitor'),
      { kind: 'service', name: 'kuik/kuik-monitor', checks: true },
    ],
    ['another service', review('kuik/kuik-image-copier'), { kind: 'service', name: 'kuik/kuik-image-copier' }],
    [
      'a proxy with its node',
      review('proxy/kuik-node-proxy', NODE),
      { kind: 'node', name: 'proxy/kuik-node-proxy', node: 'node-1' },
    ],
    ['a proxy with its pod', review('proxy/kuik-node-proxy', { podName: 'p1' }), { kind: 'node', node: 'node-7' }],
    ['a proxy of an unknown pod', review('proxy/kuik-node-proxy', { podName: 'p2' }), { kind: 'nobody' }],
    ['a proxy that is bound to nothing', review('proxy/kuik-node-proxy'), { kind: 'nobody' }],
    ['the same name elsewhere', review('evil/kuik-node-proxy', NODE), { kind: 'nobody' }],
    [
      'another account',
      review('default/default', NODE),
      { kind: 'nobody', why: 'service account default/default may not ask for credentials' },
    ],
    ['a person', { authenticated: true, audiences: ['kuik-broker'], username: 'admin' }, { kind: 'nobody' }],
    ['another audience', review('kuik/kuik-monitor', { audiences: ['https://kubernetes'] }), { kind: 'nobody' }],
    ['no audience', review('kuik/kuik-monitor', { audiences: undefined }), { kind: 'nobody' }],
    [
      'an invalid token',
      review('kuik/kuik-monitor', { authenticated: false }),
      { kind: 'nobody', why: 'the token is not valid' },
    ],
  ])('%s', (_name, result, expected) => {
    const nodeOfPod = (namespace: string, pod: string) => (`${namespace}/${pod}` === 'proxy/p1' ? 'node-7' : undefined);
    const found = requesterOf(result, rules, nodeOfPod);
    expect(found).toMatchObject(expected);
    expect('checks' in found).toBe('checks' in expected);
  });
});

describe('pullSourcesFor', () => {
  const node = (name: string): Requester => ({ kind: 'node', name: 'proxy/kuik-node-proxy', node: name });
  const service = { kind: 'service', name: 'kuik/kuik-monitor' } as const;
  const pods = [
    podView({ name: 'a', namespace: 'team-a', node: 'node-1', pullSecrets: ['cred-a'] }),
    podView({ name: 'b', namespace: 'team-b', node: 'node-2', pullSecrets: ['cred-b'], serviceAccount: 'robot' }),
    podView({ name: 'c', namespace: 'team-a', node: 'node-1', pullSecrets: ['cred-a'] }),
    podView({ name: 'd', namespace: 'team-d', node: 'node-1', pullSecrets: ['cred-d'] }),
  ];
  const {
    phase: _phase,
    node: _node,
    ...needs
  } = podView({ name: 'idle', namespace: 'team-t', pullSecrets: ['cred-t'] });
  const idle: HolderView = { ...needs, source: 'deployments', kind: 'Deployment', serviceAccount: 'runner' };
  const known = { pods, templates: [idle], images: [cachedImage()], repositories: [] };

  it('gives a node what its own pods use, and no more', () => {
    expect(pullSourcesFor(node('node-2'), known)).toEqual({
      secrets: [{ namespace: 'team-b', name: 'cred-b' }],
      serviceAccounts: [{ namespace: 'team-b', name: 'robot' }],
    });
    expect(pullSourcesFor(node('node-1'), known)?.secrets).toEqual([
      { namespace: 'team-a', name: 'cred-a' },
      { namespace: 'team-d', name: 'cred-d' },
    ]);
    expect(pullSourcesFor(node('node-3'), known)).toBeUndefined();
  });

  it('gives a service of ours what every pod and every workload uses, and what images and repositories remember', () => {
    const sources = pullSourcesFor(service, {
      pods: pods.slice(0, 1),
      templates: [idle, { ...idle, source: 'SidecarSet.apps.kruise.io', namespace: '', name: 'everywhere' }],
      images: [cachedImage({ status: { pullSecrets: [{ namespace: 'gone', name: 'old' }] } })],
      repositories: [repository({ spec: { pullSecretNames: ['v1'], pullSecretsNamespace: 'shop' } })],
    });
    expect(sources?.secrets.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
      'team-a/cred-a',
      'team-t/cred-t',
      'shop/v1',
      'gone/old',
    ]);
    expect(sources?.serviceAccounts).toEqual([
      { namespace: 'team-a', name: 'default' },
      { namespace: 'team-t', name: 'runner' },
    ]);
  });

  it('gives nobody anything, and a service only what a CachedImage names', () => {
    expect(pullSourcesFor({ kind: 'nobody', why: '' }, known)).toBeUndefined();
    expect(pullSourcesFor(service, { ...known, images: [] })).toBeUndefined();
  });

  it("gives the host's fallback secret to monitor alone, after everything else", () => {
    const withFallback = { ...known, fallback: { namespace: 'kuik-system', name: 'hub' } };
    const secretsFor = (requester: Requester) =>
      pullSourcesFor(requester, withFallback)?.secrets.map(({ name }) => name);
    expect(secretsFor({ ...service, checks: true })).toEqual(['cred-a', 'cred-b', 'cred-d', 'cred-t', 'hub']);
    expect(secretsFor({ kind: 'service', name: 'kuik/kuik-image-copier' })).not.toContain('hub');
    expect(secretsFor(node('node-1'))).not.toContain('hub');
    expect(pullSourcesFor({ ...service, checks: true }, { ...withFallback, images: [] })).toBeUndefined();
  });

  it('is bounded, and has what a person named for all whatever else there is', () => {
    const many = Array.from({ length: 100 }, (_, index) => podView({ name: `p${index}`, pullSecrets: [`s${index}`] }));
    expect(pullSourcesFor(service, { ...known, pods: many })?.secrets).toHaveLength(32);
    const repositories = [repository({ spec: { pullSecretNames: ['v1'], pullSecretsNamespace: 'shop' } })];
    const { secrets } = pullSourcesFor(service, { ...known, pods: many, repositories })!;
    expect(secrets).toHaveLength(32);
    expect(secrets).toContainEqual({ namespace: 'shop', name: 'v1' });
  });

  it('has room for what pods bring, however much a person named', () => {
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
    const counts = (ownCount: number) => {
      const repositories = [repository({ spec: { pullSecretNames: names('v', 32), pullSecretsNamespace: 'shop' } })];
      const holders = { pods: [podView({ pullSecrets: names('s', ownCount) })], templates: [] };
      const { secrets } = pullSourcesFor(service, { ...known, ...holders, repositories })!;
      return ['s', 'v'].map((prefix) => secrets.filter(({ name }) => name.startsWith(prefix)).length);
    };
    expect([0, 1, 40].map(counts)).toEqual([
      [0, 32],
      [1, 31],
      [16, 16],
    ]);
  });

  it('reads no secret of no namespace', () => {
    const repositories = [repository({ spec: { pullSecretNames: ['v1'], pullSecretsNamespace: '' } })];
    expect(pullSourcesFor(service, { ...known, pods: [], templates: [], repositories })?.secrets).toEqual([]);
  });

  it("has room for the host's fallback secret and for what a person named, whatever else there is", () => {
    const many = Array.from({ length: 100 }, (_, index) => podView({ name: `p${index}`, pullSecrets: [`s${index}`] }));
    const repositories = [repository({ spec: { pullSecretNames: ['v1'], pullSecretsNamespace: 'shop' } })];
    const fallback = { namespace: 'kuik-system', name: 'hub' };
    const { secrets } = pullSourcesFor({ ...service, checks: true }, { ...known, pods: many, repositories, fallback })!;
    expect(secrets).toHaveLength(32);
    expect(secrets.slice(-2)).toEqual([{ namespace: 'shop', name: 'v1' }, fallback]);
    const images = [
      cachedImage({
        status: { pullSecrets: many.map(({ pullSecrets: [name = ''] }) => ({ namespace: 'gone', name })) },
      }),
    ];
    expect(pullSourcesFor({ ...service, checks: true }, { ...known, images, fallback })?.secrets.at(31)).toEqual(
      fallback,
    );
  });
});
