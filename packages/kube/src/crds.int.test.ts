import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CRDS, type CachedImage } from '@kuik/contracts';
import { leaseControlPlane, type ControlPlane } from '@kuik/testbed';
import { createKubeClient } from './client.ts';
import { unique } from './conformance/world.ts';
import type { KubeClient, KubeObject, Resource } from './port.ts';
import { CACHED_IMAGES, CUSTOM_RESOURCE_DEFINITIONS, REPOSITORIES } from './resources.ts';
import { until } from './testing/until.ts';

interface Crd extends KubeObject {
  status: {
    conditions: { type: string; status: string; message: string }[];
    acceptedNames: { shortNames: string[]; plural: string };
  };
}

const HEX = 'a'.repeat(64);
const AT = '2026-01-02T03:04:05Z';

describe('our CRDs on the real API server', () => {
  let plane: ControlPlane;
  let client: KubeClient;
  beforeAll(async () => {
    plane = await leaseControlPlane();
    client = createKubeClient({ kubeconfig: plane.kubeconfig });
    for (const crd of CRDS) {
      await client.apply(CUSTOM_RESOURCE_DEFINITIONS, { name: crd.metadata.name }, crd, { fieldManager: 'helm' });
    }
    for (const resource of [CACHED_IMAGES, REPOSITORIES]) {
      await until(() => client.list(resource), { what: resource.plural, timeoutMs: 20_000 });
    }
  }, 60_000);
  afterAll(async () => {
    await client?.close();
    await plane?.stop();
  });

  const create = (resource: Resource, spec: object, status?: object) =>
    client.create<CachedImage>(resource, {
      apiVersion: 'kuik.enix.io/v1alpha1',
      kind: resource.kind,
      metadata: { name: unique('x') },
      spec,
      ...(status === undefined ? {} : { status }),
    });

  it.each(CRDS.map((crd) => [crd.metadata.name, crd.spec.names.shortNames] as const))(
    '%s is established, without a doubt about its schema',
    async (name, shortNames) => {
      const crd = await until(
        async () => {
          const found = await client.get<Crd>(CUSTOM_RESOURCE_DEFINITIONS, { name });
          return (
            found.status.conditions.some(({ type, status }) => type === 'Established' && status === 'True') && found
          );
        },
        { what: 'Established' },
      );
      expect(crd.status.conditions.find(({ type }) => type === 'NonStructuralSchema')).toBeUndefined();
      expect(crd.status.acceptedNames.shortNames).toEqual(shortNames);
    },
  );

  it.each<[string, object]>([
    ['a tag', { sourceImage: 'docker.io/library/nginx:1.27' }],
    ['a digest', { sourceImage: `ghcr.io/acme/api@sha256:${HEX}` }],
    ['tag and digest', { sourceImage: `ghcr.io/acme/api:v2@sha256:${HEX}` }],
    ['a port', { sourceImage: 'registry.example.test:5000/team/a__b/c-d:1' }],
    ['the last port', { sourceImage: 'registry:65535/app' }],
    ['a port with zeros', { sourceImage: 'registry.example.test:00080/app' }],
    ['a host in upper case', { sourceImage: 'Registry.Example.TEST/app:1' }],
    ['localhost', { sourceImage: 'LocalHost/app:1' }],
    ['a dot in a path without a host', { sourceImage: 'app.web:1.2' }],
    ['255 characters in the cache', { sourceImage: `registry:5000/${'p'.repeat(240)}:${'t'.repeat(128)}` }],
    ['255 characters in the cache, with a digest', { sourceImage: `${'p'.repeat(237)}@sha256:${HEX}` }],
    ['a short name, as people write it', { sourceImage: 'nginx' }],
    ['everything', { sourceImage: 'docker.io/library/nginx:1', retain: true, expiresAt: AT, pin: `sha256:${HEX}` }],
  ])('takes a CachedImage with %s', async (_, spec) => {
    expect((await create(CACHED_IMAGES, spec)).spec).toEqual(spec);
  });

  it.each(['7d', '1.5d', '1h30m', '1h0m0s'])('takes a Repository with the interval %s', async (updateInterval) => {
    const spec = { name: 'docker.io/library/nginx', updateInterval, updateFilters: [':1\\.'], pullSecretNames: ['a'] };
    expect((await create(REPOSITORIES, spec)).spec).toEqual(spec);
  });

  it.each([{ checkOnPull: 'Interval', checkInterval: '10m' }, { checkOnPull: 'Never' }])(
    'takes a Repository with %j',
    async (policy) => {
      const spec = { name: 'docker.io/library/nginx', ...policy };
      expect((await create(REPOSITORIES, spec)).spec).toEqual(spec);
    },
  );

  it.each<[string, Resource, object, RegExp]>([
    ['no image', CACHED_IMAGES, {}, /spec.sourceImage: Required value/],
    ['an empty image', CACHED_IMAGES, { sourceImage: '' }, /spec.sourceImage.*at least 1/],
    [
      'upper case',
      CACHED_IMAGES,
      { sourceImage: 'docker.io/Library/Nginx:1' },
      /sourceImage is not an image reference: write /,
    ],
    [
      'a URL',
      CACHED_IMAGES,
      { sourceImage: 'https://docker.io/library/nginx' },
      /sourceImage is not an image reference/,
    ],
    ['a space', CACHED_IMAGES, { sourceImage: 'docker.io/library/nginx :1' }, /sourceImage is not an image reference/],
    ['a short digest', CACHED_IMAGES, { sourceImage: 'nginx@sha256:abc' }, /sourceImage is not an image reference/],
    [
      'a tag of 129',
      CACHED_IMAGES,
      { sourceImage: `nginx:${'x'.repeat(129)}` },
      /sourceImage is not an image reference/,
    ],
    ['a line break', CACHED_IMAGES, { sourceImage: 'nginx:1\n' }, /sourceImage is not an image reference/],
    [
      'a registry that reads as a namespace',
      CACHED_IMAGES,
      { sourceImage: 'REGISTRY/app' },
      /is not an image reference: .* the host with a domain or a port/,
    ],
    ['a host with an underscore', CACHED_IMAGES, { sourceImage: 'a_b.test/app' }, /is not an image reference/],
    ['a host that ends in a dash', CACHED_IMAGES, { sourceImage: 'a-.test/app' }, /is not an image reference/],
    [
      'port 70000',
      CACHED_IMAGES,
      { sourceImage: 'registry:70000/app:1' },
      /has a port that is none: write one from 1 to 65535/,
    ],
    ['port 65536', CACHED_IMAGES, { sourceImage: 'registry.test:65536/app' }, /has a port that is none/],
    ['port 0', CACHED_IMAGES, { sourceImage: 'registry.test:00/app' }, /has a port that is none/],
    ['an image ID', CACHED_IMAGES, { sourceImage: HEX }, /is the bare ID of an image: write the repository/],
    ['an image ID with a tag', CACHED_IMAGES, { sourceImage: `${HEX}:1` }, /is the bare ID of an image/],
    [
      'an IPv6 host',
      CACHED_IMAGES,
      { sourceImage: '[2001:db8::1]:5000/app:1' },
      /has a registry with an IPv6 address, .*: give the registry a host name/,
    ],
    [
      '256 characters in the cache',
      CACHED_IMAGES,
      { sourceImage: `registry:5000/${'p'.repeat(241)}:1` },
      /is too long for the cache: host and path together may have 255 characters/,
    ],
    [
      "256 characters with Docker Hub's name",
      CACHED_IMAGES,
      { sourceImage: 'p'.repeat(238) },
      /is too long for the cache/,
    ],
    [
      "256 characters with Docker Hub's name and a namespace",
      CACHED_IMAGES,
      { sourceImage: `team/${'p'.repeat(241)}` },
      /is too long for the cache/,
    ],
    ['1,025 characters', CACHED_IMAGES, { sourceImage: 'x'.repeat(1025) }, /spec.sourceImage: Too long/],
    [
      'a pin that is no digest',
      CACHED_IMAGES,
      { sourceImage: 'nginx', pin: '1.27' },
      /pin is not a digest: write sha256:/,
    ],
    [
      'a date that is none',
      CACHED_IMAGES,
      { sourceImage: 'nginx', expiresAt: 'tomorrow' },
      /spec.expiresAt.*date-time/,
    ],
    ['retain as a word', CACHED_IMAGES, { sourceImage: 'nginx', retain: 'yes' }, /spec.retain.*boolean/],
    ['no name', REPOSITORIES, {}, /spec.name: Required value/],
    [
      'a tag in the name',
      REPOSITORIES,
      { name: 'docker.io/library/nginx:1' },
      /name is not a repository: write .* without tag or digest/,
    ],
    [
      'a check interval of 0s',
      REPOSITORIES,
      { name: 'docker.io/library/nginx', checkInterval: '0s' },
      /checkInterval is not a positive duration: write for example 30s/,
    ],
    [
      'a way to check that is none',
      REPOSITORIES,
      { name: 'docker.io/library/nginx', checkOnPull: 'Sometimes' },
      /spec.checkOnPull: Unsupported value: "Sometimes": supported values: "Always"/,
    ],
    ['a repository of port 70000', REPOSITORIES, { name: 'registry:70000/app' }, /name has a port that is none/],
    ['a repository of an IPv6 host', REPOSITORIES, { name: '[::1]/app' }, /name has a registry with an IPv6 address/],
    ['a repository of a namespace in upper case', REPOSITORIES, { name: 'REGISTRY/app' }, /name is not a repository/],
    ['a repository of 256 characters', REPOSITORIES, { name: 'p'.repeat(238) }, /name is too long for the cache/],
    [
      'an interval without a unit',
      REPOSITORIES,
      { name: 'docker.io/library/nginx', updateInterval: '30' },
      /updateInterval is not a positive duration: write for example 30m/,
    ],
    [
      'an interval of nothing',
      REPOSITORIES,
      { name: 'docker.io/library/nginx', updateInterval: '0s' },
      /updateInterval is not a positive duration/,
    ],
    [
      'an empty filter',
      REPOSITORIES,
      { name: 'docker.io/library/nginx', updateFilters: [''] },
      /spec.updateFilters\[0\].*at least 1/,
    ],
  ])('refuses %s, and says why', async (_, resource, spec, why) => {
    await expect(create(resource, spec)).rejects.toMatchObject({
      code: 'invalid',
      status: 422,
      message: expect.stringMatching(why) as unknown,
    });
  });

  it.each<[string, Resource, object, object, string]>([
    [
      'sourceImage',
      CACHED_IMAGES,
      { sourceImage: 'nginx:1' },
      { sourceImage: 'nginx:2' },
      'sourceImage cannot change: delete this CachedImage',
    ],
    [
      'name',
      REPOSITORIES,
      { name: 'docker.io/library/nginx' },
      { name: 'docker.io/library/redis' },
      'name cannot change: delete this Repository',
    ],
  ])('lets nobody change %s', async (_, resource, spec, change, why) => {
    const { metadata } = await create(resource, spec);
    await expect(client.mergePatch(resource, metadata, { spec: change })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(why) as unknown,
    });
  });

  it.each<[string, object, RegExp]>([
    ['a phase that is none', { phase: 'Sleeping' }, /status.phase: Unsupported value/],
    ['a stanza of nobody', { cache: { digest: 'sha256:1' } }, /status.cache.forUid: Required value/],
    ['a negative size', { cache: { forUid: 'u', bytes: -1 } }, /status.cache.bytes.*greater than or equal to 0/],
    ['an unknown state', { upstream: { forUid: 'u', state: 'Perhaps' } }, /status.upstream.state: Unsupported value/],
    [
      'two conditions of a type',
      { conditions: [condition('Ready'), condition('Ready')] },
      /duplicate entries for key|Duplicate value/,
    ],
    [
      'a condition without a reason',
      { conditions: [{ ...condition('Ready'), reason: '' }] },
      /status.conditions\[0\].reason/,
    ],
  ])('refuses a status with %s', async (_, status, why) => {
    const { metadata } = await create(CACHED_IMAGES, { sourceImage: 'nginx' });
    const options = { fieldManager: 'kuik-test', subresource: 'status' } as const;
    await expect(client.apply(CACHED_IMAGES, metadata, { status }, options)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(why) as unknown,
    });
  });

  it('drops what the schema does not know', async () => {
    const { spec } = await create(CACHED_IMAGES, { sourceImage: 'nginx', wishes: ['a pony'] });
    expect(spec).toEqual({ sourceImage: 'nginx' });
  });
});

function condition(type: string): object {
  return { type, status: 'True', reason: 'Copied', message: 'm', lastTransitionTime: AT };
}
