import { describe, expect, it } from '@jest/globals';
import { Decider, rulesFile, type WrittenRules } from '@kuik/rules';
import { admit } from './admit.ts';
import { applyPatch, podOf, requestOf } from './fixtures.ts';

// kuik v1's own pod (its webhook's test), through our whole admission; docs/kuik-v1.md lists what differs on purpose.
const CONTAINERS = [
  'original',
  'localhost:1313/original-2',
  '185.145.250.247:30042/alpine',
  '185.145.250.247:30042/alpine:latest',
  'localhost:4242/185.145.250.247-30042/alpine:latest',
  'invalid:image:8080',
].map((image, at) => ({ name: `c${at}`, image }));
const POD = podOf({ containers: CONTAINERS, initContainers: [{ name: 'init', image: 'original-init' }] });

type Change = Parameters<typeof requestOf>[1];
/** Images by the key of their container, and what is kept of what was written; undefined: nothing. */
function admitted(pod: ReturnType<typeof podOf>, rules: WrittenRules = {}, change: Change = {}) {
  const decider = new Decider(rulesFile.parse(rules), {
    ownNamespaces: ['kube-system'],
    proxyPrefixes: ['localhost:4242', 'localhost:7439'],
  });
  const { patch } = admit(requestOf(pod, change), decider);
  const { metadata, spec } = applyPatch(pod, patch) as {
    metadata: { annotations?: Record<string, string> };
    spec: Record<string, { name: string; image: string }[] | undefined>;
  };
  const images = (['containers', 'initContainers', 'ephemeralContainers'] as const).flatMap((kind) =>
    (spec[kind] ?? []).map(({ name, image }) => [`${kind[0]}:${name}`, image]),
  );
  const kept = metadata.annotations?.['kuik.enix.io/original-images'];
  return {
    patch,
    images: Object.fromEntries(images) as Record<string, string>,
    originals: kept === undefined ? undefined : (JSON.parse(kept) as Record<string, string>),
  };
}
const originalsOf = (rules: WrittenRules) => Object.keys(admitted(POD, rules).originals ?? {}).sort();

describe("v1's vectors: a pod", () => {
  it.each([
    ['i:init', 'localhost:4242/docker.io/library/original-init:latest', 'original-init'],
    ['c:c0', 'localhost:4242/docker.io/library/original:latest', 'original'],
    ['c:c1', 'localhost:1313/original-2', undefined],
    ['c:c2', 'localhost:4242/185.145.250.247__30042/alpine:latest', '185.145.250.247:30042/alpine'],
    ['c:c3', 'localhost:4242/185.145.250.247__30042/alpine:latest', '185.145.250.247:30042/alpine:latest'],
    ['c:c4', 'localhost:4242/185.145.250.247-30042/alpine:latest', undefined],
    ['c:c5', 'invalid:image:8080', undefined],
  ])('%s becomes %s, kept as written: %s', (key, image, original) => {
    const { images, originals } = admitted(POD);
    expect([images[key], originals?.[key]]).toEqual([image, original]);
  });

  it.each<[string, WrittenRules, string[]]>([
    // v1 rewrote the untagged alpine: it did not know it for the latest one.
    ['ignored images', { ignoreImages: ['original', 'alpine:latest'] }, []],
    ['accepted images', { acceptImages: ['185.145.250.247\\:30042'] }, ['c:c2', 'c:c3']],
  ])('%s', (_name, rules, kept) => expect(originalsOf(rules)).toEqual(kept));
});

describe('what kuik v1 did wrong', () => {
  it('v1 defect: ephemeral containers and image volumes are left alone', () => {
    const debug = { ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] };
    const change = { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject: podOf() };
    expect(admitted(podOf(debug), {}, change).images['e:debug']).toBe('localhost:4242/docker.io/library/busybox:1');
    const volumes = [{ name: 'model', image: { reference: 'quay.io/a/model:7' } }];
    expect(admitted(podOf({ volumes })).originals).toMatchObject({ 'v:model': 'quay.io/a/model:7' });
  });

  it('v1 defect: an image with a digest is left alone', () => {
    const image = `nginx:1@sha256:${'5b16'.repeat(16)}`;
    const { images } = admitted(podOf({ containers: [{ name: 'app', image }] }));
    expect(images['c:app']).toBe(`localhost:4242/docker.io/library/${image}`);
  });

  it('v1 defect: a real registry on localhost becomes Docker Hub', () => {
    const { images, originals } = admitted(podOf({ containers: [{ name: 'app', image: 'localhost:5000/foo' }] }));
    expect([images['c:app'], originals]).toEqual(['localhost:5000/foo', undefined]);
  });

  it("v1 defect: a running pod is rewritten anew, and restarts, when the proxy's port changes", () => {
    const containers = [{ name: 'app', image: 'localhost:7439/docker.io/library/nginx:1' }];
    expect(admitted(podOf({ containers }), {}, { operation: 'UPDATE' }).patch).toEqual([]);
    // Nor is a new one that was written with the former port: what it means is known.
    expect(admitted(podOf({ containers })).images['c:app']).toBe(containers[0]!.image);
  });

  it('v1 defect: a second pass spoils what was written (`host-port`)', () => {
    const first = admitted(POD);
    const again = admitted(applyPatch(POD, first.patch));
    expect([again.patch, again.originals]).toEqual([[], first.originals]);
  });
});
