import { describe, expect, it } from '@jest/globals';
import { IMAGE_USED } from '@kuik/contracts';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { admit } from './admit.ts';
import { applyPatch, deciderOf, podOf, requestOf } from './fixtures.ts';

const decider = deciderOf({
  ignoreImages: ['^ignored\\.test/'],
  ignoreNamespaces: ['ci'],
  namespaces: { watched: { mode: 'observe' } },
});
const ANNOTATION = 'kuik.enix.io/original-images';
const REQUEST_ID = 'kuik.enix.io/request-id';
const DECISIONS = 'kuik.enix.io/decisions';

const admitPod = (spec: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}, change = {}) => {
  const pod = podOf(spec, metadata);
  const admission = admit(requestOf(pod, change), decider);
  const patched = applyPatch(pod, admission.patch) as ReturnType<typeof view>;
  return { admission, patched, originals: originalsOf(patched) };
};
const view = (pod: unknown) =>
  pod as {
    metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
    spec: Record<'containers' | 'initContainers' | 'ephemeralContainers', { name: string; image: string }[]> & {
      volumes: { image?: { reference?: string } }[];
    };
  };
const decisionsOf = (pod: unknown): unknown => JSON.parse(view(pod).metadata.annotations?.[DECISIONS] ?? 'null');
const originalsOf = (pod: ReturnType<typeof view>): unknown => {
  const value = pod.metadata.annotations?.[ANNOTATION];
  return value === undefined ? undefined : JSON.parse(value);
};

describe('admit on CREATE of a pod', () => {
  it('rewrites init, sidecar and regular containers and image volumes, and keeps what each asked for', () => {
    const { patched, originals } = admitPod({
      initContainers: [
        { name: 'setup', image: 'busybox' },
        { name: 'mesh', image: 'quay.io/mesh:1', restartPolicy: 'Always' },
      ],
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'model', image: { reference: 'ghcr.io/models/m:7', pullPolicy: 'IfNotPresent' } },
      ],
    });
    expect(patched.spec.containers.map((container) => container.image)).toEqual([
      'localhost:7439/registry.example.test/shop:1.0',
      'localhost:7439/docker.io/library/nginx:latest',
    ]);
    expect(patched.spec.initContainers.map((container) => container.image)).toEqual([
      'localhost:7439/docker.io/library/busybox:latest',
      'localhost:7439/quay.io/mesh:1',
    ]);
    expect(patched.spec.volumes[1]?.image?.reference).toBe('localhost:7439/ghcr.io/models/m:7');
    expect(originals).toEqual({
      'c:app': 'registry.example.test/shop:1.0',
      'c:sidecar': 'nginx',
      'i:setup': 'busybox',
      'i:mesh': 'quay.io/mesh:1',
      'v:model': 'ghcr.io/models/m:7',
    });
    expect(patched.metadata.labels).toEqual({ 'kuik.enix.io/managed': 'true' });
  });

  it('hints at the images that go through the cache, once each, with what is needed to pull them', () => {
    const { admission } = admitPod(
      {
        initContainers: [{ name: 'same', image: 'docker.io/library/nginx:latest' }],
        serviceAccountName: 'shop',
        imagePullSecrets: [{ name: 'regcred' }, { name: '' }, {}],
      },
      { name: undefined, generateName: 'shop-' },
    );
    expect(admission.pod).toBe('shop-');
    expect(admission.hint).toEqual({
      namespace: 'default',
      serviceAccount: 'shop',
      pullSecrets: ['regcred'],
      images: ['registry.example.test/shop:1.0', 'docker.io/library/nginx:latest'],
      requestId: admission.uid,
    });
  });

  it('keeps the hint within what the subject takes', () => {
    const containers = Array.from({ length: 300 }, (_, index) => ({ name: `c${index}`, image: `app:${index}` }));
    const imagePullSecrets = containers.map(({ name }) => ({ name }));
    const { admission } = admitPod({ containers, imagePullSecrets });
    expect(IMAGE_USED.schema.safeParse(admission.hint).success).toBe(true);
  });

  it('tells the pod which request it was, in the words of our log', () => {
    const [bare, noted] = [admitPod(), admitPod({}, { annotations: { note: 'x', [REQUEST_ID]: 'of another pod' } })];
    for (const { patched, admission } of [bare, noted]) {
      expect(patched.metadata.annotations?.[REQUEST_ID]).toBe(admission.uid);
    }
    expect(noted.patched.metadata.annotations?.['note']).toBe('x');
  });

  it('patches on dry run as well, and hints at nothing', () => {
    const { admission } = admitPod({}, {}, { dryRun: true });
    expect(admission.patch).not.toEqual([]);
    expect(admission.hint).toBeUndefined();
  });

  it('leaves existing labels and annotations alone', () => {
    const { patched } = admitPod({}, { labels: { app: 'shop' }, annotations: { note: 'x' } });
    expect(patched.metadata.labels).toEqual({ app: 'shop', 'kuik.enix.io/managed': 'true' });
    expect(patched.metadata.annotations).toMatchObject({ note: 'x' });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]>([
    ['opted out', {}, { labels: { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' } }, {}],
    ['a static pod', {}, { annotations: { 'kubernetes.io/config.mirror': 'abc' } }, {}],
    ['our own namespace', {}, {}, { namespace: 'kuik-system' }],
    ['kube-system', {}, {}, { namespace: 'kube-system' }],
    ['a listed namespace', {}, {}, { namespace: 'ci' }],
    ['an update of a pod', {}, {}, { operation: 'UPDATE' }],
    ['another resource', {}, {}, { resource: { group: 'apps', version: 'v1', resource: 'deployments' } }],
    ['another subresource', {}, {}, { operation: 'UPDATE', subResource: 'status' }],
  ])('changes nothing: %s', (_, spec, metadata, change) => {
    const { admission } = admitPod(spec, metadata, change);
    expect(admission).toMatchObject({ patch: [], hint: undefined });
  });

  it('decides each container by itself', () => {
    const { admission, originals } = admitPod({
      containers: [
        { name: 'a', image: 'ignored.test/a' },
        { name: 'b', image: 'nginx', imagePullPolicy: 'Never' },
        { name: 'c', image: 'nginx' },
      ],
    });
    expect(admission.images.map(({ key, reason, rule }) => [key, reason, rule])).toEqual([
      ['c:a', 'Ignored', 'ignoreImages[0]'],
      ['c:b', 'PullPolicyNever', 'imagePullPolicy'],
      ['c:c', 'Rewritten', 'default'],
    ]);
    expect(originals).toEqual({ 'c:c': 'nginx' });
  });
});

describe('admit of a pod whose owner fought', () => {
  const uid = '77aa01bd-1111-4222-8333-444455556666';
  const owned = { ownerReferences: [{ apiVersion: 'db.test/v1', kind: 'Cluster', name: 'db', uid, controller: true }] };
  const isSpared = (owner: string) => owner === uid;

  it('rewrites nothing, has it cached, and leaves other owners alone', () => {
    const pod = podOf({}, owned);
    const admission = admit(requestOf(pod), decider, isSpared);
    const patched = view(applyPatch(pod, admission.patch));
    expect(patched.spec).toEqual(pod['spec']);
    expect(originalsOf(patched)).toEqual({ 'c:app': 'registry.example.test/shop:1.0', 'c:sidecar': 'nginx' });
    expect(patched.metadata.labels).toBeUndefined();
    expect(admission.hint?.images).toEqual(['registry.example.test/shop:1.0', 'docker.io/library/nginx:latest']);
    expect(admission.images.map(({ reason, rule }) => `${reason} ${rule}`)).toEqual(
      Array(2).fill(`OwnerSpared sparedOwners.${uid}`),
    );
    expect(admit(requestOf(pod), decider, () => false)).toMatchObject({ images: [{ reason: 'Rewritten' }, {}] });
  });

  it('rewrites no debug container either', () => {
    const debug = { ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] };
    const change = { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject: podOf({}, owned) };
    const admission = admit(requestOf(podOf(debug, owned), change), decider, isSpared);
    expect(admission).toMatchObject({ patch: [], images: [{ key: 'e:debug', reason: 'OwnerSpared' }] });
  });
});

describe('the reasons on the pod', () => {
  it('are those of every container, also of one that is left alone', () => {
    const { patched } = admitPod({
      containers: [
        { name: 'a', image: 'ignored.test/a' },
        { name: 'b', image: 'nginx', imagePullPolicy: 'Never' },
      ],
      initContainers: [{ name: 'c', image: 'nginx' }],
      volumes: [{ name: 'd', image: { reference: 'localhost:5000/d:1' } }],
    });
    expect(decisionsOf(patched)).toEqual({
      'c:a': 'Ignored ignoreImages[0]',
      'c:b': 'PullPolicyNever imagePullPolicy',
      'i:c': 'Rewritten default',
      'v:d': 'LocalRegistry localhost',
    });
  });

  it.each([
    ['ignored', 'ignored.test/a', 'Ignored ignoreImages[0]'],
    ['no reference', 'invalid:image:8080', 'NotAReference grammar'],
    ['a real local registry', 'localhost:5000/app', 'LocalRegistry localhost'],
  ])('are all that a pod is given whose only image is %s', (_, image, decision) => {
    const { patched, admission } = admitPod({ containers: [{ name: 'app', image }] });
    expect(patched.spec.containers[0]?.image).toBe(image);
    expect(patched.metadata.labels).toBeUndefined();
    expect(patched.metadata.annotations).toEqual({
      [DECISIONS]: `{"c:app":"${decision}"}`,
      [REQUEST_ID]: admission.uid,
    });
    expect(admission.hint).toBeUndefined();
  });

  it('stay true when the pod is admitted again', () => {
    const { patched } = admitPod();
    patched.spec.containers.push({ name: 'mesh', image: 'ignored.test/mesh' });
    patched.spec.containers.splice(1, 1);
    const again = applyPatch(patched, admit(requestOf(patched), decider).patch);
    expect(decisionsOf(again)).toEqual({ 'c:app': 'Rewritten default', 'c:mesh': 'Ignored ignoreImages[0]' });
  });

  it.each(['Ignored ignoreImages[0]', 'nonsense', ''])('are not taken from a pod that was written so: %j', (before) => {
    const containers = [{ name: 'app', image: 'localhost:7439/docker.io/a/b:1' }];
    const { patched } = admitPod({ containers }, { annotations: { [DECISIONS]: JSON.stringify({ 'c:app': before }) } });
    expect(decisionsOf(patched)).toEqual({ 'c:app': 'AlreadyRewritten proxyPrefixes' });
  });

  it('are left out first when there is no room', () => {
    const { patched, originals } = admitPod({}, { annotations: { big: 'x'.repeat(256 * 1024 - 200) } });
    expect(originals).toMatchObject({ 'c:sidecar': 'nginx' });
    expect(decisionsOf(patched)).toBeNull();
  });
});

describe('a pod that kuik v1 rewrote', () => {
  const LONG = 'my-incredible-and-marvelous-backend-that-rocks-so';
  const cases: [string, Record<string, unknown>, Record<string, string>, Record<string, string> | undefined][] = [
    [
      'has what was written in an annotation per container',
      {
        containers: [{ name: 'backend', image: 'localhost:7439/185.145.250.247-30042/alpine' }],
        initContainers: [{ name: 'backend', image: 'localhost:7439/nginx:1' }],
      },
      { 'original-image-backend': '185.145.250.247:30042/alpine', 'original-init-image-backend': 'nginx:1' },
      { 'c:backend': '185.145.250.247:30042/alpine', 'i:backend': 'nginx:1' },
    ],
    [
      'has long names of containers hashed',
      { containers: [{ name: LONG, image: 'localhost:7439/nginx:1' }] },
      { 'original-image-18bbab2679313e5f5e01e371538acb859ead4b32': 'nginx:1' },
      { [`c:${LONG}`]: 'nginx:1' },
    ],
    [
      'is not believed an image that is another',
      { containers: [{ name: 'backend', image: 'localhost:7439/nginx:1' }] },
      { 'original-image-backend': 'quay.io/other:1' },
      undefined,
    ],
    [
      'is not believed what is no reference',
      { containers: [{ name: 'backend', image: 'localhost:7439/nginx:1' }] },
      { 'original-image-backend': '::' },
      undefined,
    ],
  ];
  it.each(cases)('%s', (_, spec, annotations, expected) => {
    expect(admitPod(spec, { annotations }).originals).toEqual(expected);
  });
});

describe('admit of a pod that is only observed', () => {
  const observed = () => admitPod({}, {}, { namespace: 'watched' });

  it('keeps what it asked for and hints at its images, but changes none and sets no label', () => {
    const { admission, patched, originals } = observed();
    expect(patched.spec).toEqual(podOf()['spec']);
    expect(patched.metadata.labels).toBeUndefined();
    expect(originals).toEqual({ 'c:app': 'registry.example.test/shop:1.0', 'c:sidecar': 'nginx' });
    expect(admission.hint?.images).toEqual(['registry.example.test/shop:1.0', 'docker.io/library/nginx:latest']);
    expect(admission.images[0]).toMatchObject({ verdict: 'observe', rule: 'namespaces.watched.mode' });
    const reason = 'Observed namespaces.watched.mode';
    expect(decisionsOf(patched)).toEqual({ 'c:app': reason, 'c:sidecar': reason });
  });

  it('changes nothing the second time', () => {
    expect(admit(requestOf(observed().patched, { namespace: 'watched' }), decider).patch).toEqual([]);
  });
});

describe('admit again (re-invocation)', () => {
  it('changes nothing the second time, and hints the same', () => {
    const first = admitPod();
    const again = admit(requestOf(first.patched), decider);
    expect(again.patch).toEqual([]);
    expect(again.hint).toEqual(first.admission.hint);
    expect(again.images.every((image) => image.reason === 'AlreadyRewritten')).toBe(true);
  });

  it('adds a container that another webhook brought, and keeps the others', () => {
    const { patched } = admitPod();
    patched.spec.containers.push({ name: 'mesh', image: 'quay.io/mesh:1' });
    const again = applyPatch(patched, admit(requestOf(patched), decider).patch);
    expect(originalsOf(view(again))).toEqual({
      'c:app': 'registry.example.test/shop:1.0',
      'c:sidecar': 'nginx',
      'c:mesh': 'quay.io/mesh:1',
    });
  });

  it('forgets a container that another webhook replaced by an ignored image', () => {
    const { patched } = admitPod();
    patched.spec.containers[0]!.image = 'ignored.test/a';
    patched.spec.containers.push({ name: 'mesh', image: 'quay.io/mesh:1' });
    const again = applyPatch(patched, admit(requestOf(patched), decider).patch);
    expect(originalsOf(view(again))).toEqual({ 'c:sidecar': 'nginx', 'c:mesh': 'quay.io/mesh:1' });
  });

  it.each(['not json', '[]', 'null', '{"c:app":7}'])('replaces an annotation that is not ours: %s', (value) => {
    const { originals } = admitPod({}, { annotations: { [ANNOTATION]: value } });
    expect(originals).toEqual({ 'c:app': 'registry.example.test/shop:1.0', 'c:sidecar': 'nginx' });
  });

  it('labels a pod that was written with the proxy in its images, and invents no originals', () => {
    const { patched, admission } = admitPod({ containers: [{ name: 'app', image: 'localhost:7439/docker.io/a/b:1' }] });
    expect(patched.metadata).toMatchObject({ labels: { 'kuik.enix.io/managed': 'true' } });
    expect(originalsOf(patched)).toBeUndefined();
    expect(admission.hint?.images).toEqual(['docker.io/a/b:1']);
  });

  it('leaves a pod alone that is opted out, and hints at the image that goes through the proxy all the same', () => {
    const labels = { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' };
    const containers = [{ name: 'app', image: 'localhost:7439/docker.io/a/b:1' }];
    const { admission } = admitPod({ containers }, { labels });
    expect(admission.patch).toEqual([]);
    expect(admission.hint?.images).toEqual(['docker.io/a/b:1']);
  });

  it('leaves the annotation out when a pod has no room for it: the API server would refuse the pod', () => {
    const { patched } = admitPod({}, { annotations: { big: 'x'.repeat(256 * 1024 - 50) } });
    expect(originalsOf(patched)).toBeUndefined();
    expect(patched.spec.containers[1]?.image).toBe('localhost:7439/docker.io/library/nginx:latest');
  });
});

describe('admit on UPDATE of pods/ephemeralcontainers', () => {
  const update = { operation: 'UPDATE', subResource: 'ephemeralcontainers' };
  const old = podOf({ ephemeralContainers: [{ name: 'old', image: 'busybox:old' }] });

  it('rewrites only containers that the old pod lacks, and nothing else of it', () => {
    const pod = podOf({
      ephemeralContainers: [
        { name: 'new', image: 'busybox:new' },
        { name: 'old', image: 'busybox:old' },
      ],
    });
    const admission = admit(requestOf(pod, { ...update, oldObject: old }), decider);
    expect(admission.operation).toBe('ephemeralcontainers');
    expect(admission.patch).toEqual([
      {
        op: 'replace',
        path: '/spec/ephemeralContainers/0/image',
        value: 'localhost:7439/docker.io/library/busybox:new',
      },
    ]);
    expect(admission.hint?.images).toEqual(['docker.io/library/busybox:new']);
  });

  it.each([null, undefined, {}, { spec: null }])(
    'reads a missing old object as one without containers: %j',
    (oldObject) => {
      const pod = podOf({ ephemeralContainers: [{ name: 'new', image: 'busybox' }] });
      expect(admit(requestOf(pod, { ...update, oldObject }), decider).patch).toHaveLength(1);
    },
  );
});

describe('admit of what is no pod', () => {
  it.each([
    null,
    undefined,
    'text',
    7,
    [],
    {},
    { spec: null },
    { spec: [] },
    { spec: {} },
    { metadata: null, spec: { containers: 'x', volumes: {}, initContainers: null } },
    {
      metadata: [],
      spec: { containers: [null, 7, 'x', [], {}, { name: 1, image: 2 }, { name: 'a' }, { image: 'b' }] },
    },
    {
      spec: {
        volumes: [
          { name: 'v', image: 'text' },
          { name: 'w', image: { reference: 7 } },
        ],
      },
    },
  ])('lets it through: %j', (object) => {
    const admission = admit(requestOf(object, { namespace: undefined }), decider);
    expect(admission).toMatchObject({ uid: requestOf(null).uid, patch: [], hint: undefined });
  });

  it('rewrites images of a pod without metadata, which it can not mark', () => {
    const pod = { spec: { containers: [{ name: 'a', image: 'nginx' }] } };
    const { patch } = admit(requestOf(pod), decider);
    expect(applyPatch(pod, patch)).toEqual({
      spec: { containers: [{ name: 'a', image: 'localhost:7439/docker.io/library/nginx:latest' }] },
    });
  });

  it('never throws, and always makes a patch that applies', () => {
    const container = fc.record({ name: fc.string(), image: fc.oneof(fc.string(), fc.constantFrom('nginx', 'a/b:1')) });
    const oddly = fc.oneof(fc.array(fc.oneof(container, fc.jsonValue())), fc.jsonValue());
    const pods = fc.record(
      {
        metadata: fc.oneof(fc.jsonValue(), fc.record({ annotations: fc.jsonValue(), labels: fc.jsonValue() })),
        spec: fc.record({ containers: oddly, initContainers: oddly, volumes: oddly }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(pods, (pod) => void applyPatch(pod, admit(requestOf(pod), decider).patch)),
      { numRuns: sized({ usual: 100, full: 5_000 }) },
    );
  });
});
