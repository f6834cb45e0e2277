import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { loadPodWatcherConfig } from './config.ts';
import { configuredKinds, kindName, viewConfigured } from './configured-kind.ts';
import { imagesOf } from './images-of.ts';
import { deciderOf } from './testing/objects.ts';

const decider = deciderOf();
const metadata = { name: 'x', namespace: 'shop', uid: 'u', resourceVersion: '1' };
const pod = (image: string, more = {}) => ({ containers: [{ name: 'c', image }], ...more });

function used(kind: object, object: object): string[] {
  const [parsed] = configuredKinds.parse([{ apiVersion: 'example.test/v1', kind: 'Thing', ...kind }]);
  return imagesOf(viewConfigured(parsed!, { metadata, ...object }, []), decider).used.map(({ image }) => image);
}

describe('a configured kind', () => {
  it.each<[string, object, object, string[]]>([
    ['a pod template', { podTemplates: ['.spec.template'] }, { spec: { template: { spec: pod('a/b:1') } } }, ['a/b:1']],
    ['a pod spec', { podSpecs: ['.spec'] }, { spec: pod('a/b:1') }, ['a/b:1']],
    [
      'several templates',
      { podTemplates: ['.spec.roles.*.template'] },
      { spec: { roles: { a: { template: { spec: pod('a/b:1') } }, b: { template: { spec: pod('a/c:1') } } } } },
      ['a/b:1', 'a/c:1'],
    ],
    [
      'a revision of a StatefulSet',
      { podTemplates: ['.data.spec.template'] },
      { data: { spec: { template: { $patch: 'replace', metadata: {}, spec: pod('a/b:1') } } }, revision: 2 },
      ['a/b:1'],
    ],
    ['texts', { images: ['.spec.steps[*].image'] }, { spec: { steps: [{ image: 'a/b:1' }, {}] } }, ['a/b:1']],
    [
      'an object as in Helm values',
      { images: ['.spec.values.image'] },
      { spec: { values: { image: { registry: 'quay.io', repository: 'a/b', tag: 2 } } } },
      ['quay.io/a/b:2'],
    ],
    [
      'one path for each part',
      { images: [{ repository: '.spec.url', tag: '.spec.ref.tag', digest: '.spec.ref.digest' }] },
      { spec: { url: 'oci://quay.io/charts/app', ref: { tag: '6.1' } } },
      ['quay.io/charts/app:6.1'],
    ],
    ['what is no image', { images: ['.spec.a', '.spec.b', '.spec.c'] }, { spec: { a: 5, b: '', c: { tag: '1' } } }, []],
    [
      'what is no template',
      { podTemplates: ['.spec.template'] },
      { spec: { template: { spec: { containers: 7 } } } },
      [],
    ],
    ['nothing', { podTemplates: ['.spec.template'] }, {}, []],
    [
      'a template that opts out, beside one that does not',
      { podTemplates: ['.a', '.b'] },
      {
        a: { metadata: { labels: { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' } }, spec: pod('a/b:1') },
        b: { spec: pod('a/c:1') },
      },
      ['a/c:1'],
    ],
    [
      'an object that opts out itself',
      { images: ['.spec.image'] },
      {
        metadata: { ...metadata, labels: { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' } },
        spec: { image: 'a/b:1' },
      },
      [],
    ],
  ])('names %s', (_name, kind, object, images) => {
    expect(used(kind, object)).toEqual(images.map((image) => (image.startsWith('a/') ? `docker.io/${image}` : image)));
  });

  it('brings pull secrets and service account of its templates', () => {
    const [kind] = configuredKinds.parse([{ apiVersion: 'a.b/v1', kind: 'Two', podSpecs: ['.a', '.b'] }]);
    const a = pod('x', { imagePullSecrets: [{ name: 's1' }], serviceAccountName: 'robot' });
    const b = pod('y', { imagePullSecrets: [{ name: 's1' }, { name: 's2' }] });
    expect(viewConfigured(kind!, { metadata, a, b } as never, [])).toMatchObject({
      source: 'Two.a.b',
      kind: 'Two',
      pullSecrets: ['s1', 's2'],
      serviceAccount: 'robot',
    });
    expect(kindName({ apiVersion: 'v1', kind: 'Thing' })).toBe('Thing');
  });

  it.each([
    ['nowhere to look', {}, 'needs podTemplates, podSpecs or images'],
    ['a path that is none', { images: ['spec'] }, 'is no path: write for example .spec.template'],
    ['no apiVersion', { apiVersion: 'Argo/v1', images: ['.a'] }, 'must look like group/version'],
    ['no kind', { kind: 'rollout', images: ['.a'] }, 'must be a kind, as Rollout'],
    ['an unknown key', { podTemplate: ['.a'] }, 'Unrecognized key'],
    [
      'Secrets',
      { apiVersion: 'v1', kind: 'Secret', images: ['.data.a'] },
      'cannot be Secret: Secrets are read by name',
    ],
  ])('with %s is refused', (_name, change, message) => {
    const result = configuredKinds.safeParse([{ apiVersion: 'a.b/v1', kind: 'Thing', ...change }]);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });

  it('is named once', () => {
    const kind = (apiVersion: string) => ({ apiVersion, kind: 'Thing', images: ['.a'] });
    expect(configuredKinds.safeParse([kind('a.b/v1'), kind('c.d/v1')]).success).toBe(true);
    const [issue] = configuredKinds.safeParse([kind('a.b/v1'), kind('a.b/v2')]).error!.issues;
    expect(issue).toMatchObject({
      path: [1, 'kind'],
      message: 'names Thing.a.b again: put all its paths in one entry',
    });
  });

  it('is what every recipe of the documentation is', () => {
    const text = readFileSync(new URL('../../../docs/holders.md', import.meta.url), 'utf8');
    const recipes = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, recipe]) => recipe!);
    expect(recipes.length).toBeGreaterThan(5);
    for (const recipe of recipes) {
      // `resource` is the chart's.
      const kinds = recipe.replaceAll(/^ *resource:.*\n|, resource: \w+/gm, '');
      const { usage } = loadPodWatcherConfig({
        KUIK_NATS_URL: 'nats://127.0.0.1:1',
        KUIK_REDIS_URL: 'redis://127.0.0.1:1',
        KUIK_USAGE_KINDS: kinds,
      });
      expect(usage.kinds).toHaveLength([...kinds.matchAll(/apiVersion/g)].length);
    }
  });
});
