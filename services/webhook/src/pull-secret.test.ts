import { describe, expect, it } from '@jest/globals';
import { Decider, rulesFile } from '@kuik/rules';
import { admit } from './admit.ts';
import { applyPatch, podOf, requestOf } from './fixtures.ts';

const decider = new Decider(rulesFile.parse({ ignorePullPolicyAlways: false, ignoreNamespaces: ['ci'] }), {
  ownNamespaces: [],
  proxyPrefixes: ['localhost:7439'],
  pullSecrets: true,
});
const secretsOf = (spec: object, change: object = {}): unknown => {
  const pod = podOf({ ...spec });
  const { patch } = admit(requestOf(pod, change), decider);
  return (applyPatch(pod, patch)['spec'] as Record<string, unknown>)['imagePullSecrets'];
};
const OURS = { name: 'kuik-pull-default' };

describe('the pull secret that a pod gets', () => {
  it.each<[string, object, unknown]>([
    ['a pod without any', {}, [OURS]],
    ['an empty list', { imagePullSecrets: [] }, [OURS]],
    ['its own stay', { imagePullSecrets: [{ name: 'a' }] }, [{ name: 'a' }, OURS]],
    ['only once', { imagePullSecrets: [OURS, { name: 'a' }] }, [OURS, { name: 'a' }]],
    ['that of its service account', { serviceAccountName: 'robot' }, [{ name: 'kuik-pull-robot' }]],
    [
      'images that go through the proxy already',
      { containers: [{ name: 'a', image: 'localhost:7439/a.b/c:1' }] },
      [OURS],
    ],
    ['none for images that do not', { containers: [{ name: 'a', image: 'localhost:5000/c:1' }] }, undefined],
    ['none when its name would be too long', { serviceAccountName: 'a'.repeat(250) }, undefined],
    ['what is no list is replaced by one', { imagePullSecrets: 'odd' }, [OURS]],
  ])('%s', (_what, spec, expected) => expect(secretsOf(spec)).toEqual(expected));

  it('is not given to pods that are left alone, nor with a debug container', () => {
    expect(secretsOf({}, { namespace: 'ci' })).toBeUndefined();
    const debug = { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject: podOf() };
    expect(secretsOf({ ephemeralContainers: [{ name: 'd', image: 'busybox' }] }, debug)).toBeUndefined();
  });
});
