import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CRDS } from '@kuik/contracts';
import { leaseControlPlane } from '../lease/lease-control-plane.ts';
import type { ControlPlane, KubeObject } from '../port.ts';
import { startControlPlane } from './start-control-plane.ts';

const POD = { spec: { containers: [{ name: 'c', image: 'nginx' }] } };

async function names(plane: ControlPlane, path: string): Promise<string[]> {
  return (await plane.api.list<KubeObject>(path)).map((object) => object.metadata.name).sort();
}

describe('a control plane', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await leaseControlPlane();
  });
  afterAll(() => plane.stop());

  it('admits pods, binds them, and tells the node of a token bound to one', async () => {
    await plane.namespace('shop');
    await plane.api.create('/api/v1/namespaces/shop/pods', { metadata: { name: 'p' }, ...POD });
    await plane.bindPod('shop', 'p');
    const token = await plane.token('shop', 'default', { pod: 'p', audiences: ['kuik-broker'] });
    const review = await plane.api.create<{
      status: { authenticated: boolean; user: { extra: Record<string, string[]> } };
    }>('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token, audiences: ['kuik-broker'] } });
    expect(review.status.authenticated).toBe(true);
    expect(review.status.user.extra['authentication.kubernetes.io/node-name']).toEqual(['node-1']);
  });

  it('lets nobody in without credentials, and a ServiceAccount do only what its role says', async () => {
    const refused = { status: 401 };
    await expect(plane.api.request('GET', '/api/v1/pods', undefined, { token: 'x' })).rejects.toMatchObject(refused);
    await plane.applyYaml(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: readers }
rules: [{ apiGroups: [""], resources: [pods], verbs: [list] }]
---
apiVersion: v1
kind: Namespace
metadata: { name: readers }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader, namespace: readers }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [{ kind: ServiceAccount, name: default, namespace: readers }]
`);
    const token = await plane.token('readers', 'default');
    await plane.api.request('GET', '/api/v1/namespaces/readers/pods', undefined, { token });
    const call = plane.api.request('GET', '/api/v1/namespaces/readers/secrets', undefined, { token });
    await expect(call).rejects.toMatchObject({ status: 403, reason: 'Forbidden' });
  });

  it('serves our definitions as soon as they are applied', async () => {
    await plane.applyAll(CRDS);
    expect(await names(plane, '/apis/kuik.enix.io/v1alpha1/cachedimages')).toEqual([]);
  });

  it('can be wiped: what came is gone, what was changed is back, definitions stay', async () => {
    await plane.namespace('gone');
    await plane.api.create('/api/v1/namespaces/gone/configmaps', { metadata: { name: 'x', finalizers: ['a.b/c'] } });
    await plane.api.delete('/api/v1/nodes/node-1');
    await plane.api.request(
      'PATCH',
      '/api/v1/namespaces/default',
      { metadata: { labels: { changed: 'yes' } } },
      {
        contentType: 'application/merge-patch+json',
      },
    );
    await plane.wipe();
    expect(await names(plane, '/api/v1/namespaces')).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
    expect(await names(plane, '/api/v1/nodes')).toEqual(['node-1']);
    expect(await names(plane, '/api/v1/configmaps?fieldSelector=metadata.name=x')).toEqual([]);
    expect((await plane.api.get('/api/v1/namespaces/default')).metadata.labels).not.toHaveProperty('changed');
    expect(await names(plane, '/apis/kuik.enix.io/v1alpha1/cachedimages')).toEqual([]);
  });

  it('refuses what is not a legal object, with the API server’s own reason', async () => {
    const call = plane.applyYaml('{ apiVersion: v1, kind: Pod, metadata: { name: x }, spec: {} }', { dryRun: true });
    await expect(call).rejects.toMatchObject({ status: 422, reason: 'Invalid' });
    await expect(plane.applyYaml('{ apiVersion: v1, kind: Nothing, metadata: { name: x } }')).rejects.toThrow(
      'serves no Nothing',
    );
  });
});

describe('a control plane of one’s own', () => {
  it('keeps its content and address when its API server is killed and started again', async () => {
    const plane = await startControlPlane({ name: 'own' });
    try {
      await plane.namespace('kept');
      await plane.apiserver.kill();
      await expect(plane.api.get('/api/v1/namespaces/kept')).rejects.toThrow();
      await plane.apiserver.restart();
      expect((await plane.api.get('/api/v1/namespaces/kept')).metadata.name).toBe('kept');
    } finally {
      await plane.stop();
    }
    expect(plane.etcd.running() || plane.apiserver.running()).toBe(false);
  });
});
