import { beforeEach, describe, expect, it } from '@jest/globals';
import { referrersTag } from '@kuik/image';
import { Breaker, RegistryError, referrersIndex } from '@kuik/registry';
import { memoryRegistry, type MemoryRequest } from '@kuik/registry/memory';
import { CacheAccess } from './cache-access.ts';
import { listReferrersOf } from './list-referrers.ts';
import { UpstreamAccess } from './upstream-access.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const HOST = 'registry.example.test';
const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`;
const SUBJECT = digestOf('a');
const signature = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf('b'),
  size: 1,
  artifactType: 'sig',
};
const sbom = { ...signature, digest: digestOf('c'), artifactType: 'sbom' };

describe('what refers to a digest', () => {
  let registry: ReturnType<typeof memoryRegistry>;
  let upstreamDoes: (request: MemoryRequest) => void;
  let missed: string[];
  let parts: Parameters<typeof listReferrersOf>[0];

  beforeEach(() => {
    upstreamDoes = () => undefined;
    missed = [];
    registry = memoryRegistry({ intercept: (request) => void (request.host === HOST && upstreamDoes(request)) });
    const now = () => 0;
    parts = {
      cache: new CacheAccess({
        registry: registry.access,
        endpoint: { url: 'http://cache.test' },
        breaker: new Breaker({ failures: 3, openMs: 1000, now }),
        onMiss: (_repository, what) => void missed.push(what),
      }),
      upstream: new UpstreamAccess({ registry: registry.access, now }),
      patienceMs: 1000,
    };
  });

  const list = async (host: string, repository: string, ...descriptors: (typeof signature)[]) => {
    await registry.repository(host, repository).putManifest(referrersTag(SUBJECT), referrersIndex(descriptors), INDEX);
  };
  const upstreamLists = (...descriptors: (typeof signature)[]) => list(HOST, 'app', ...descriptors);
  const cacheLists = (...descriptors: (typeof signature)[]) => list('cache.test', `${HOST}/app`, ...descriptors);
  const run = async (query = '') => {
    const repositories = [{ host: HOST, path: 'app' }];
    const { body, ...rest } = await listReferrersOf(parts, { repositories, digest: SUBJECT, query, requestId: 'r' });
    const index = JSON.parse(body.toString()) as { mediaType: string; manifests: { digest: string }[] };
    expect(index.mediaType).toBe(INDEX);
    return { digests: index.manifests.map(({ digest }) => digest), ...rest };
  };
  const from = (origin: string, digests: string[], change: object = {}) => ({
    digests,
    from: origin,
    stale: false,
    filtered: false,
    ...change,
  });
  const away = () => {
    throw new RegistryError('refused', 'away');
  };

  it.each<[string, () => unknown, object]>([
    [
      "upstream's API, whatever the cache has",
      async () => {
        registry.answerReferrers(HOST, 'app', () => [signature, sbom]);
        await cacheLists(signature);
      },
      from('upstream', [signature.digest, sbom.digest]),
    ],
    ["upstream's fallback tag", () => upstreamLists(signature), from('upstream', [signature.digest])],
    ['the cache, when upstream has none', () => cacheLists(signature), from('cache', [signature.digest])],
    [
      'the cache, when upstream is away',
      async () => {
        await cacheLists(signature);
        upstreamDoes = away;
      },
      from('cache', [signature.digest], { stale: true }),
    ],
    ['nothing, when both have none', () => undefined, from('upstream', [])],
  ])('is had from %s', async (_name, arrange, answer) => {
    await arrange();
    expect(await run()).toEqual(answer);
  });

  it('is not known when upstream is away and nothing was copied', async () => {
    upstreamDoes = away;
    await expect(run()).rejects.toMatchObject({ name: 'PullFailure', failure: 'upstreamUnreachable' });
  });

  it('is of one type when that is asked for', async () => {
    await upstreamLists(signature, sbom);
    expect(await run('artifactType=sbom')).toEqual(from('upstream', [sbom.digest], { filtered: true }));
    expect(await run('artifactType=other')).toEqual(from('upstream', [], { filtered: true }));
  });

  it('makes the image looked at again when upstream has what was not copied', async () => {
    await cacheLists(signature);
    await upstreamLists(signature);
    await run();
    await new Promise((resolve) => setImmediate(resolve));
    expect(missed).toEqual([]);
    await registry.repository('cache.test', `${HOST}/app`).deleteTag(referrersTag(SUBJECT));
    await run();
    await new Promise((resolve) => setImmediate(resolve));
    expect(missed).toEqual([`${HOST}/app@${SUBJECT}`]);
  });
});
