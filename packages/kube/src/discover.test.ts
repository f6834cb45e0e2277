import { describe, expect, it } from '@jest/globals';
import { discoverResource } from './discover.ts';
import { KubeError } from './kube-error.ts';
import type { KubeClient } from './port.ts';

const RESOURCES = [
  { name: 'rollouts/status', kind: 'Rollout', namespaced: true },
  { name: 'rollouts', kind: 'Rollout', namespaced: true },
  { name: 'clusteranalysistemplates', kind: 'ClusterAnalysisTemplate', namespaced: false },
];
const asked: string[] = [];
const client = (answer: () => unknown): Pick<KubeClient, 'raw'> => ({
  raw: <T>(method: string, path: string) => {
    asked.push(`${method} ${path}`);
    return Promise.resolve().then(answer as () => T);
  },
});
const served = client(() => ({ resources: RESOURCES }));

describe('discoverResource', () => {
  it.each([
    ['argoproj.io/v1alpha1', 'Rollout', 'rollouts', true],
    ['argoproj.io/v1alpha1', 'ClusterAnalysisTemplate', 'clusteranalysistemplates', false],
  ])('finds what %s serves as %s', async (apiVersion, kind, plural, namespaced) => {
    const found = await discoverResource(served, { apiVersion, kind });
    expect(found).toEqual({ group: 'argoproj.io', version: 'v1alpha1', plural, kind, namespaced });
    expect(asked.at(-1)).toBe('GET /apis/argoproj.io/v1alpha1');
  });

  it('asks the core group where there is no other', async () => {
    const core = client(() => ({ resources: [{ name: 'podtemplates', kind: 'PodTemplate', namespaced: true }] }));
    const found = await discoverResource(core, { apiVersion: 'v1', kind: 'PodTemplate' });
    expect(found).toEqual({ version: 'v1', plural: 'podtemplates', kind: 'PodTemplate', namespaced: true });
    expect(asked.at(-1)).toBe('GET /api/v1');
  });

  it.each([
    ['the first other version that serves it', ['v1alpha1', 'v1', 'v1beta1'], 'v1beta1'],
    ['nothing when no version serves it', ['v1alpha1', 'v1'], undefined],
    ['nothing when the group is gone', undefined, undefined],
  ])('when the version that is named is served no more: %s', async (_what, versions, expected) => {
    const moved: Pick<KubeClient, 'raw'> = {
      raw: <T>(_method: string, path: string) => {
        if (path === '/apis/argoproj.io/v1beta1') return Promise.resolve({ resources: RESOURCES } as T);
        if (path === '/apis/argoproj.io/v1') return Promise.resolve({ resources: [] } as T);
        if (path === '/apis/argoproj.io' && versions !== undefined) {
          return Promise.resolve({ versions: versions.map((version) => ({ version })) } as T);
        }
        return Promise.reject(new KubeError('not-found', path));
      },
    };
    const found = await discoverResource(moved, { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout' });
    expect([found?.version, found?.plural]).toEqual([expected, expected && 'rollouts']);
  });

  it('finds nothing when group, version or kind is not served, and passes other failures on', async () => {
    const fails = (code: 'not-found' | 'unavailable') =>
      client(() => {
        throw new KubeError(code, 'no');
      });
    expect(await discoverResource(served, { apiVersion: 'argoproj.io/v1alpha1', kind: 'Other' })).toBeUndefined();
    expect(await discoverResource(fails('not-found'), { apiVersion: 'a.b/v1', kind: 'Other' })).toBeUndefined();
    await expect(discoverResource(fails('unavailable'), { apiVersion: 'a.b/v1', kind: 'Other' })).rejects.toThrow('no');
  });
});
