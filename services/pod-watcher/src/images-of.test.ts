import { describe, expect, it } from '@jest/globals';
import { ImageReadings, imagesOf } from './images-of.ts';
import { type PodObject, viewPod } from './pod-view.ts';
import { deciderOf, podView } from './testing/objects.ts';

const decider = deciderOf({}, ['localhost:7439', 'localhost:1234']);
const HEX = 'c'.repeat(64);
const OPT_OUT = { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' };

function only(image: string, change: Parameters<typeof podView>[0] = {}, pullPolicy = 'IfNotPresent') {
  const { used, skipped } = imagesOf(podView({ images: [{ key: 'c:app', image, pullPolicy }], ...change }), decider);
  return used[0]?.image ?? skipped[0]?.reason;
}
const factsOf = (labels: Record<string, string>, annotations = {}) => ({
  facts: { labels, annotations, priorityClassName: undefined },
});

describe('imagesOf', () => {
  it.each([
    ['a short name', 'nginx', 'docker.io/library/nginx:latest'],
    ['a digest', `quay.io/a/b@sha256:${HEX}`, `quay.io/a/b@sha256:${HEX}`],
    ['through the proxy', 'localhost:7439/docker.io/library/nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['through a proxy of before', 'localhost:1234/quay.io/a/b:1', 'quay.io/a/b:1'],
    ['a port through the proxy', 'localhost:7439/reg.example.test__5000/app:1', 'reg.example.test:5000/app:1'],
    ["kuik v1's short form", 'localhost:7439/nginx:1', 'docker.io/library/nginx:1'],
    ['nothing readable behind the proxy', 'localhost:7439/UPPER', 'ProxyImageUnreadable'],
    ['no reference', 'invalid:image:8080', 'NotAReference'],
    ["the node's own registry", 'localhost:5000/app', 'LocalRegistry'],
    ['a loopback address', '127.0.0.1:5000/app', 'LocalRegistry'],
    ['a host that has no place in the cache', '[fd00::1]:5000/app', 'NotEncodable'],
  ])('reads %s', (_name, image, expected) => {
    expect(only(image)).toBe(expected);
  });

  it.each([
    ['Always', true],
    ['IfNotPresent', undefined],
  ])('knows of policy %s whether the newest is wanted', (pullPolicy, always) => {
    const view = podView({ images: [{ key: 'c:app', image: 'nginx:1', pullPolicy }] });
    expect(imagesOf(view, decider).used.map((used) => used.always)).toEqual([always]);
  });

  it.each([
    ['an ignored namespace', { namespace: 'kube-system' }, undefined, 'NamespaceIgnored'],
    ['an opted-out pod', factsOf(OPT_OUT), undefined, 'OptedOut'],
    ['the mirror of a static pod', factsOf({}, { 'kubernetes.io/config.mirror': 'x' }), undefined, 'MirrorPod'],
    ['what is never pulled', {}, 'Never', 'PullPolicyNever'],
  ])('skips %s', (_name, change, policy, reason) => {
    expect(only('nginx', change, policy)).toBe(reason);
  });

  it.each([
    ['an ignored namespace', { namespace: 'kube-system' }],
    ['an opted-out pod', factsOf(OPT_OUT)],
  ])('uses what goes through the proxy whatever else is said: %s', (_name, change) => {
    expect(only('localhost:7439/quay.io/a/b:1', change)).toBe('quay.io/a/b:1');
  });

  it('lets what was written choose between two readings, and no more than that', () => {
    const image = 'localhost:7439/reg.example.test-5000/app:1';
    expect(only(image)).toBe('reg.example.test-5000/app:1');
    expect(only(image, { originals: { 'c:app': 'reg.example.test:5000/app:1' } })).toBe('reg.example.test:5000/app:1');
    expect(only(image, { originals: { 'c:app': 'evil.example.test/other:1' } })).toBe('reg.example.test-5000/app:1');
  });
});

it("reads a pod by its namespace's labels, when a rule asks for them and they are known", () => {
  const selective = deciderOf({ namespaceSelector: { matchLabels: { tier: 'prod' } } });
  const read = (labels?: Record<string, string>) => imagesOf(podView(), selective, undefined, labels).used.length;
  expect([read(), read({ tier: 'prod' }), read({})]).toEqual([1, 1, 0]);
});

describe('ImageReadings', () => {
  it('say of each pod what that pod alone would be told, whichever pod came first', () => {
    const ambiguous = 'localhost:7439/reg.example.test-5000/app:1';
    const pods = [
      podView({ images: [{ key: 'c:app', image: ambiguous }] }),
      podView({
        images: [{ key: 'c:app', image: ambiguous }],
        originals: { 'c:app': 'reg.example.test:5000/app:1' },
      }),
      podView({ images: [{ key: 'c:app', image: 'nginx:1', pullPolicy: 'Never' }] }),
      podView({ images: [{ key: 'c:app', image: 'nginx:1' }] }),
      podView({ images: [{ key: 'c:app', image: 'nginx:1' }], namespace: 'kube-system' }),
      podView({ images: [{ key: 'c:app', image: 'localhost:5000/app', pullPolicy: 'Never' }] }),
      podView({ images: [{ key: 'c:app', image: 'a:b:c', pullPolicy: 'Never' }] }),
    ];
    for (const order of [pods, pods.toReversed()]) {
      const shared = new ImageReadings(decider.proxyPrefixes);
      for (const pod of order) expect(imagesOf(pod, decider, shared)).toEqual(imagesOf(pod, decider));
    }
  });

  it('read a text once', () => {
    const shared = new ImageReadings(decider.proxyPrefixes);
    expect(shared.direct('nginx:1')).toBe(shared.direct('nginx:1'));
    expect(shared.proxied('localhost:7439/nginx:1', 'nginx:1')).toBe(
      shared.proxied('localhost:7439/nginx:1', 'nginx:1'),
    );
  });
});

describe('viewPod', () => {
  const pod: PodObject = {
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: 'u1',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: {
        keep: 'this',
        drop: 'that',
        'kuik.enix.io/original-images': '{"c:app":"nginx","i:x":5}',
        'original-image-app': 'v1-nginx',
        'original-init-image-setup': 'busybox',
      },
    },
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'robot',
      imagePullSecrets: [{ name: 'regcred' }, {}],
      containers: [{ name: 'app', image: 'localhost:7439/docker.io/library/nginx' }],
      initContainers: [{ name: 'setup', image: 'busybox', imagePullPolicy: 'Always' }],
      ephemeralContainers: [{ name: 'debug', image: 'alpine' }, { name: 'none' }],
      volumes: [{ name: 'data' }, { name: 'model', image: { reference: 'quay.io/a/model:1' } }],
    },
    status: { phase: 'Running' },
  };

  it('keeps every kind of image, what was written, and whose credentials count', () => {
    expect(viewPod(pod, ['keep'])).toMatchObject({
      images: [
        { key: 'c:app', image: 'localhost:7439/docker.io/library/nginx' },
        { key: 'i:setup', image: 'busybox', pullPolicy: 'Always' },
        { key: 'e:debug', image: 'alpine' },
        { key: 'v:model', image: 'quay.io/a/model:1' },
      ],
      originals: { 'c:app': 'nginx', 'i:setup': 'busybox' },
      facts: { annotations: { keep: 'this' }, priorityClassName: undefined },
      pullSecrets: ['regcred'],
      serviceAccount: 'robot',
      node: 'n1',
    });
  });

  it.each([['not json'], ['[]'], ['"text"'], ['null']])('survives the annotation %s', (annotation) => {
    const metadata = { ...pod.metadata, annotations: { 'kuik.enix.io/original-images': annotation } };
    expect(viewPod({ ...pod, metadata }, []).originals).toEqual({});
  });

  it.each([
    [
      'the last end of a container',
      { containerStatuses: [ended('2026-01-01T01:00:00Z'), ended('2026-01-01T02:00:00Z')] },
      '2026-01-01T02:00:00Z',
    ],
    [
      'the last change of a condition',
      { conditions: [{ lastTransitionTime: '2026-01-01T03:00:00Z' }] },
      '2026-01-01T03:00:00Z',
    ],
    ['its creation', {}, '2026-01-01T00:00:00Z'],
  ])('knows when a pod completed by %s', (_name, status, time) => {
    expect(viewPod({ ...pod, status: { phase: 'Succeeded', ...status } }, []).finishedAt).toBe(Date.parse(time));
  });

  it.each([
    ['who controls it', [owner('a', false), owner('b', true)], 'b'],
    ['the first, when nobody controls it', [owner('a'), owner('b')], 'a'],
    ['nobody', [], undefined],
  ])('knows whose it is: %s', (_name, ownerReferences, name) => {
    const view = viewPod({ ...pod, metadata: { ...pod.metadata, ownerReferences } }, []);
    expect(view.owner).toEqual(
      name === undefined ? undefined : { apiVersion: 'db.test/v1', kind: 'Db', name, uid: `uid-${name}` },
    );
    expect(view.createdAt).toBe(Date.parse('2026-01-01T00:00:00Z'));
  });

  it.each([
    ['DisruptionTarget', 'True', true],
    ['DisruptionTarget', 'False', undefined],
    ['Ready', 'True', undefined],
  ])('is disrupted with condition %s=%s: %s', (type, status, disrupted) => {
    const view = viewPod({ ...pod, status: { phase: 'Running', conditions: [{ type, status }] } }, []);
    expect(view.disrupted).toBe(disrupted);
  });

  function owner(name: string, controller?: boolean) {
    return {
      apiVersion: 'db.test/v1',
      kind: 'Db',
      name,
      uid: `uid-${name}`,
      ...(controller === undefined ? {} : { controller }),
    };
  }

  function ended(finishedAt: string) {
    return { state: { terminated: { finishedAt } } };
  }
});
