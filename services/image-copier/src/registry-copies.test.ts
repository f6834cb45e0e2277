import { beforeEach, describe, expect, it } from '@jest/globals';
import { CredentialError } from '@kuik/bus';
import type { BrokeredCredential } from '@kuik/contracts';
import { cosignTags, parseReference, referrersTag } from '@kuik/image';
import {
  openBlobOver,
  referrersIndex,
  RegistryError,
  type AskedAs,
  type BlobTurns,
  type RepositoryClient,
} from '@kuik/registry';
import { memoryRegistry, type MemoryRequest } from '@kuik/registry/memory';
import { makeArtifact, makeIndex, type MadeImage } from '@kuik/testbed';
import { brokeredCredentials, noCredentials } from './credentials.ts';
import type { CopyTarget } from './decide.ts';
import { type CopyRoute, registryCopies } from './registry-copies.ts';

const HOST = 'up.test';
const signal = new AbortController().signal;
const alone: BlobTurns = {
  take: () => Promise.resolve({ do: 'bring', end: () => Promise.resolve() }),
  landed: () => undefined,
};
const platforms = ['linux/amd64', 'linux/arm64', 'linux/s390x'];
const image = await makeIndex({ seed: 'platforms', platforms });
/** Listed behind the platforms, one for each, in their order. */
const attestations = image.manifests.slice(platforms.length).map(({ digest }) => digest);
const signature = await makeArtifact({ seed: 'signature', subject: image.root });

const ROUTE: Omit<CopyRoute, 'registry'> = {
  cache: { url: 'http://cache.test' },
  credentials: noCredentials,
  turns: { of: () => alone },
  share: (client) => client,
  shared: (client) => client,
  sessions: { find: () => Promise.resolve(undefined), began: () => undefined },
  concurrency: 2,
  foreignLayers: false,
  referrers: true,
  now: () => 0,
};

describe('a copy into the cache', () => {
  let registry: ReturnType<typeof memoryRegistry>;
  let does: (request: MemoryRequest) => void;
  let cache: RepositoryClient;
  let copies: ReturnType<typeof registryCopies>;

  beforeEach(async () => {
    does = () => undefined;
    registry = memoryRegistry({ intercept: (request) => does(request) });
    cache = registry.repository('cache.test', 'up.test/app');
    await push(image, '1');
    copies = registryCopies({ ...ROUTE, registry: registry.access });
  });

  async function push({ blobs, manifests, root }: MadeImage, tag?: string): Promise<void> {
    const upstream = registry.repository(HOST, 'app');
    for (const blob of blobs) registry.putBlob(HOST, 'app', Buffer.concat([...blob.open()]), blob.digest);
    for (const { digest, bytes, mediaType } of manifests) await upstream.putManifest(digest, bytes, mediaType);
    if (tag !== undefined) await upstream.putManifest(tag, root.bytes, root.mediaType);
  }
  const target = (change: Partial<CopyTarget> = {}): CopyTarget => ({
    reference: parseReference(`${HOST}/app:1`),
    upstreamReference: '1',
    cacheRepository: 'up.test/app',
    cacheTag: '1',
    thorough: false,
    begun: false,
    ...change,
  });
  const wanting = (...wanted: string[]) => ({ wanted: { platforms: wanted, pulled: [], pulledBefore: [] } });
  const copy = (change: Partial<CopyTarget> = {}) => copies.copy(target(change), () => undefined, signal);
  const readUpstream = (since = 0) =>
    registry.requests.slice(since).filter(({ host, operation }) => host === HOST && operation.startsWith('open'));
  const told = ({ platforms: held, platformsOnDemand, platformsPulled }: Awaited<ReturnType<typeof copy>>) => ({
    held,
    onDemand: platformsOnDemand,
    pulled: platformsPulled,
  });

  it('is of all platforms when nothing is said', async () => {
    expect(told(await copy())).toEqual({ held: platforms, onDemand: [], pulled: [] });
  });

  it('is of the wanted ones; one that comes to be wanted is brought, and nothing is read twice', async () => {
    expect(told(await copy(wanting('linux/amd64')))).toEqual({
      held: ['linux/amd64'],
      onDemand: ['linux/arm64', 'linux/s390x'],
      pulled: [],
    });
    const before = registry.requests.length;
    const grown = await copy({ ...wanting('linux/amd64', 'linux/arm64'), verify: image.digest });
    expect(told(grown)).toEqual({ held: ['linux/amd64', 'linux/arm64'], onDemand: ['linux/s390x'], pulled: [] });
    const arm64 = image.platforms['linux/arm64'];
    const manifests = readUpstream(before).filter(({ operation }) => operation === 'open-manifest');
    expect(manifests.map(({ reference }) => reference)).toEqual([image.digest, arm64, attestations[1]]);
    expect(grown.digest).toBe(image.digest);
  });

  it('that an earlier object had made is looked at, and what it lacks is brought', async () => {
    await copy(wanting('linux/amd64'));
    const before = registry.requests.length;
    expect(told(await copy(wanting('linux/amd64')))).toMatchObject({ held: ['linux/amd64'] });
    expect(readUpstream(before)).toEqual([]);
    expect(told(await copy(wanting('linux/s390x')))).toEqual({
      held: ['linux/s390x'],
      // Not looked after any more, though it may be there.
      onDemand: ['linux/amd64', 'linux/arm64'],
      pulled: [],
    });
  });

  describe('that the resource has described', () => {
    /** What the stanza says of the copy that is there. */
    async function described(change: Partial<CopyTarget>): Promise<Partial<CopyTarget>> {
      const { digest, mediaType, bytes, blobs, platforms: held, platformsOnDemand } = await copy(change);
      const told = { digest, mediaType, bytes, blobs: blobs.total, platforms: held, platformsOnDemand };
      return { ...change, begun: true, described: told };
    }
    const requests = async (change: Partial<CopyTarget>) => {
      const before = registry.requests.length;
      const told = await copy(change);
      const asked = registry.requests.slice(before).map(({ host, operation }) => `${host} ${operation}`);
      return { told, asked };
    };
    const HEADS = ['cache.test head-manifest', `${HOST} head-manifest`];

    it.each<[string, Partial<CopyTarget>, Partial<CopyTarget>?]>([
      ['all platforms', {}],
      ['some', wanting('linux/amd64', 'linux/s390x')],
      ['fewer than before', wanting('linux/amd64'), wanting('linux/amd64', 'linux/arm64')],
    ])('is two requests, and is told as one that was looked at: %s', async (_name, change, before = change) => {
      const known = await described(before);
      const looked = await copy({ ...change, begun: true });
      const { told, asked } = await requests({ ...known, ...change });
      expect(asked).toEqual(HEADS);
      expect(told).toEqual(looked);
    });

    it.each<[string, (known: Partial<CopyTarget>) => Partial<CopyTarget>]>([
      ['another platform is wanted', (known) => ({ ...known, ...wanting('linux/arm64') })],
      ['all platforms are wanted', ({ wanted: _some, ...known }) => known],
      [
        'somebody pulled what was on demand',
        (known) => ({ ...known, wanted: { ...known.wanted!, pulled: [image.platforms['linux/arm64']!] } }),
      ],
      ['a node missed something', (known) => ({ ...known, verify: image.digest })],
      ['a person forces it', (known) => ({ ...known, thorough: true })],
      ['a digest is pinned', (known) => ({ ...known, pin: { digest: image.digest, tag: 'anchor' } })],
      ['the object was not read', ({ described: _stanza, ...known }) => known],
    ])('is looked at when %s', async (_name, change) => {
      const { asked } = await requests(change(await described(wanting('linux/amd64'))));
      expect(asked.length).toBeGreaterThan(2);
    });

    it('is copied when its tag moved, or the cache lost it', async () => {
      const known = await described({});
      const next = await makeIndex({ seed: 'next described', platforms: ['linux/amd64'] });
      await push(next, '1');
      expect(await copy(known)).toMatchObject({ digest: next.digest, platforms: ['linux/amd64'], bytes: next.bytes });
      await cache.deleteTag('1');
      expect((await copy(known)).digest).toBe(next.digest);
      expect((await cache.headManifest('1')).digest).toBe(next.digest);
    });
  });

  it('says which blobs it met in the cache, so that they are mounted from there although nobody knew of them any more', async () => {
    await copy(wanting('linux/amd64'));
    const known: string[] = [];
    const told: BlobTurns = { ...alone, landed: (digest, repository) => void known.push(`${repository} ${digest}`) };
    copies = registryCopies({ ...ROUTE, registry: registry.access, turns: { of: () => told } });
    const blobs: string[] = [];
    for (const { digest } of image.blobs)
      if ((await cache.headBlob(digest)) !== undefined) blobs.push(`up.test/app ${digest}`);
    expect(blobs.length).toBeGreaterThan(0);
    for (const change of [wanting('linux/amd64'), { ...wanting('linux/amd64'), verify: image.digest }]) {
      await copy(change);
      expect(known.splice(0).sort()).toEqual(blobs.sort());
    }
    expect(await copies.held(target(wanting('linux/amd64')))).toBeDefined();
    expect(known.sort()).toEqual(blobs.sort());
  });

  it('keeps what was pulled through, at the next tag as well', async () => {
    await copy(wanting('linux/amd64'));
    const pulled = [image.platforms['linux/arm64']!, `sha256:${'0'.repeat(64)}`];
    const wanted = { platforms: ['linux/amd64'], pulled, pulledBefore: [] };
    expect(told(await copy({ wanted, verify: image.digest }))).toEqual({
      held: ['linux/amd64', 'linux/arm64'],
      onDemand: ['linux/s390x'],
      pulled: ['linux/arm64'],
    });
    const next = await makeIndex({ seed: 'next', platforms });
    await push(next, '1');
    const later = await copy({ wanted: { platforms: ['linux/amd64'], pulled: [], pulledBefore: ['linux/arm64'] } });
    expect({ digest: later.digest, ...told(later) }).toEqual({
      digest: next.digest,
      held: ['linux/amd64', 'linux/arm64'],
      onDemand: ['linux/s390x'],
      pulled: ['linux/arm64'],
    });
  });

  it('keeps an attestation that was pulled by itself', async () => {
    await copy(wanting('linux/amd64'));
    const [, ofArm64, ofS390x] = attestations;
    await expect(cache.headManifest(ofArm64!)).rejects.toMatchObject({ code: 'not-found' });
    const wanted = { platforms: ['linux/amd64'], pulled: [ofArm64!], pulledBefore: [] };
    expect(told(await copy({ wanted, verify: image.digest }))).toEqual({
      held: ['linux/amd64'],
      onDemand: ['linux/arm64', 'linux/s390x'],
      pulled: [],
    });
    expect((await cache.headManifest(ofArm64!)).digest).toBe(ofArm64);
    await expect(cache.headManifest(ofS390x!)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('is whole where the cache registry takes nothing less, also for the next image', async () => {
    const has = async (digest: string) =>
      cache.headManifest(digest).then(
        () => true,
        () => false,
      );
    let refused = 0;
    const strict: typeof cache.putManifest = async (reference, bytes, mediaType, options) => {
      const { manifests = [] } = JSON.parse(bytes.toString()) as { manifests?: { digest: string }[] };
      const there = await Promise.all(manifests.map(({ digest }) => has(digest)));
      if (there.every(Boolean)) return cache.putManifest(reference, bytes, mediaType, options);
      refused += 1;
      throw new RegistryError('rejected', 'no', { status: 400, said: 'MANIFEST_BLOB_UNKNOWN' });
    };
    const access = { ...registry.access, cache: () => ({ ...cache, putManifest: strict }) };
    copies = registryCopies({ ...ROUTE, registry: access, referrers: false });
    expect(told(await copy(wanting('linux/amd64')))).toEqual({ held: platforms, onDemand: [], pulled: [] });
    const next = await makeIndex({ seed: 'next', platforms });
    await push(next, '1');
    expect(told(await copy(wanting('linux/amd64')))).toEqual({ held: platforms, onDemand: [], pulled: [] });
    expect(refused).toBe(1);
  });

  it('that lacks what is pinned says so, and nothing of the tag', async () => {
    const digest = `sha256:${'1'.repeat(64)}`;
    const failed: unknown = await copy({ pin: { digest, tag: 'kuik-sha256-1' } }).catch((error: unknown) => error);
    expect(copies.failureOf(failed)).toMatchObject({ code: 'not-found', side: 'upstream', pin: digest });
  });

  it('that is refused tells which pull secrets were tried, and which gave no login', async () => {
    const names = { tried: ['acme/a'], unread: [{ name: 'acme/b', mistake: 'has no key .dockercfg' }] };
    const client = { credential: () => Promise.resolve<BrokeredCredential>({ kind: 'anonymous', ...names }) };
    const upstream: CopyRoute['registry']['upstream'] = (host, repository, source) => ({
      ...registry.repository(host, repository),
      openManifest: async () => {
        await source.credentials({ host, repository, actions: ['pull'] });
        throw new RegistryError('unauthorized', 'no');
      },
    });
    const credentials = brokeredCredentials(client);
    copies = registryCopies({ ...ROUTE, credentials, registry: { ...registry.access, upstream } });
    const failed: unknown = await copy().catch((error: unknown) => error);
    expect(copies.failureOf(failed)).toMatchObject({ code: 'unauthorized', ...names });
  });

  it('asks the broker anew for a login that upstream refuses, once, and goes on with that', async () => {
    const given: BrokeredCredential[] = [];
    const credentials = brokeredCredentials({
      credential: async (_host, _repository, { renew = false } = {}) => {
        if (renew || given.length === 0)
          given.push({ kind: 'header', value: `login ${given.length}`, expiresAtMs: 9e15 });
        return given.at(-1)!;
      },
    });
    const withdrawn = new Set(['login 0']);
    const upstream: CopyRoute['registry']['upstream'] = (host, repository, source, options) => {
      // Token servers are asked for pulls first.
      expect(options).toEqual({ background: true });
      const client = registry.repository(host, repository);
      return {
        ...client,
        openManifest: async (...request) => {
          const [credential] = await source.credentials({ host, repository, actions: ['pull'] });
          if (credential?.kind !== 'header' || withdrawn.has(credential.value))
            throw new RegistryError('unauthorized', 'no');
          return client.openManifest(...request);
        },
      };
    };
    copies = registryCopies({ ...ROUTE, credentials, registry: { ...registry.access, upstream } });
    expect((await copy()).digest).toBe(image.digest);
    expect(given).toHaveLength(2);
  });

  it.each(['1', image.digest])('is paid for by its login from the first manifest on: %s', async (upstreamReference) => {
    const account = 'a'.repeat(32);
    const credentials = brokeredCredentials({
      credential: () => Promise.resolve({ kind: 'header', value: 'login', expiresAtMs: 9e15, account }),
    });
    const payers: unknown[] = [];
    const shared: CopyRoute['shared'] = (client, payer) => ({
      ...client,
      openManifest: async (...request) => {
        payers.push(await payer());
        return client.openManifest(...request);
      },
    });
    copies = registryCopies({ ...ROUTE, credentials, shared, registry: registry.access });
    await copy({ upstreamReference });
    expect(payers[0]).toEqual({ host: HOST, account });
  });

  it.each<[string, AskedAs]>([
    ['its login', { account: 'a'.repeat(32) }],
    ['strangers, its login having been refused', {}],
  ])('tells whom it was that upstream limited: %s', async (_who, askedAs) => {
    const credentials = brokeredCredentials({
      credential: () => Promise.resolve({ kind: 'header', value: 'login', expiresAtMs: 9e15, account: 'a'.repeat(32) }),
    });
    const upstream: CopyRoute['registry']['upstream'] = (host, repository, source) => ({
      ...registry.repository(host, repository),
      openManifest: async () => {
        await source.credentials({ host, repository, actions: ['pull'] });
        throw new RegistryError('rate-limited', 'no', { status: 429, askedAs });
      },
    });
    copies = registryCopies({ ...ROUTE, credentials, registry: { ...registry.access, upstream } });
    const failure = copies.failureOf(await copy().catch((error: unknown) => error));
    expect(failure).toMatchObject({ code: 'rate-limited', tried: [] });
    expect(failure?.account).toBe(askedAs.account);
  });

  it('is paid for by nobody in particular once no credential can be had', async () => {
    const answers: (BrokeredCredential | CredentialError)[] = [
      { kind: 'header', value: 'login', expiresAtMs: 9e15, account: 'a'.repeat(32) },
      new CredentialError('brokerUnavailable', 'no credential could be had', { retry: true }),
    ];
    const own = brokeredCredentials({
      credential: async () => {
        const answer = answers.shift()!;
        if (answer instanceof CredentialError) throw answer;
        return answer;
      },
    })({});
    const request = { host: HOST, repository: 'app', actions: ['pull' as const] };
    await own.credentials(request);
    expect(own.account()).toBe('a'.repeat(32));
    expect(await own.renewed?.credentials(request)).toEqual([]);
    expect(own.account()).toBeUndefined();
  });

  it('looks at what is said to be wrong in the cache, and fails as long as it is, whatever else it brings', async () => {
    await copy();
    const [bad, lost] = image.blobs.map(({ digest }) => digest) as [string, string];
    const wrong = new Set([bad, image.digest]);
    const damaged: CopyRoute['registry']['cache'] = () => ({
      ...cache,
      openBlob: async (digest, request) => {
        const blob = await cache.openBlob(digest, request);
        if (!wrong.has(digest)) return blob;
        const { totalSize, contentType } = blob;
        blob.cancel();
        const body = { totalSize, offset: 0, length: totalSize, contentType, verify: digest, cancel: () => undefined };
        return openBlobOver({ ...body, pump: async (sink) => void (await sink(Buffer.alloc(totalSize))) });
      },
      openManifest: async (reference) => {
        if (wrong.has(reference)) throw new RegistryError('digest-mismatch', 'other bytes');
        return cache.openManifest(reference);
      },
    });
    copies = registryCopies({ ...ROUTE, registry: { ...registry.access, cache: damaged } });
    const absent = `sha256:${'0'.repeat(64)}`;
    const looked = { verify: image.digest, doubted: [bad, lost, image.digest, absent] };
    const failure = await copy(looked).catch((error: unknown) => copies.failureOf(error));
    expect(failure).toMatchObject({ side: 'cache', damaged: [bad, image.digest] });
    wrong.delete(image.digest);
    registry.dropBlob('cache.test', 'up.test/app', lost);
    await expect(copy(looked)).rejects.toMatchObject({ digests: [bad] });
    expect(await cache.headBlob(lost)).toBeDefined();
    // A person took it away: what is missing comes back.
    wrong.clear();
    registry.dropBlob('cache.test', 'up.test/app', bad);
    expect((await copy({ verify: image.digest, doubted: [bad] })).digest).toBe(image.digest);
    expect(await cache.headBlob(bad)).toBeDefined();
  });

  it('brings what refers to the image, and looks for it again when it is verified or forced', async () => {
    expect((await copy()).referrers).toEqual({ count: 0 });
    await push(signature);
    const list = referrersIndex([{ ...signature.root, mediaType: signature.root.mediaType }]);
    await registry
      .repository(HOST, 'app')
      .putManifest(referrersTag(image.digest), list, 'application/vnd.oci.image.index.v1+json');
    // A copy that finds its tag right stays two requests.
    expect((await copy()).referrers).toBeUndefined();
    expect((await copy({ verify: image.digest })).referrers).toEqual({ count: 1 });
    expect((await copy({ thorough: true })).referrers).toEqual({ count: 1 });
    expect((await cache.headManifest(signature.digest)).digest).toBe(signature.digest);
    const limited = new RegistryError('rate-limited', 'no', { retryAfterMs: 7, askedAs: { account: 'its login' } });
    does = ({ host, operation }) => {
      if (host === HOST && operation === 'tags') throw limited;
    };
    const { digest, looked } = await copy({ thorough: true });
    expect([digest, looked?.requests]).toEqual([image.digest, 1]);
    const told = { code: 'rate-limited', side: 'upstream', retryAfterMs: 7, account: 'its login' };
    expect(copies.failureOf(looked?.failure)).toMatchObject(told);
  });

  it('brings what refers to a platform when a worker died between the tag and that', async () => {
    const [sig] = cosignTags(image.platforms['linux/amd64']!);
    await push(signature, sig);
    const death = new AbortController();
    does = ({ host, operation, reference }) => {
      if (host === HOST && operation === 'head-manifest' && reference === sig) death.abort();
    };
    await expect(copies.copy(target(), () => undefined, death.signal)).rejects.toMatchObject({ code: 'aborted' });
    does = () => undefined;
    expect((await cache.headManifest('1')).digest).toBe(image.digest);
    expect((await copy({ begun: true, takenOver: true })).referrers).toEqual({ count: 1 });
    expect((await cache.headManifest(sig!)).digest).toBe(signature.digest);
  });

  it('brings what refers to the platforms that are kept, and nothing about those left on demand or about attestations', async () => {
    const [amd64, arm64] = ['linux/amd64', 'linux/arm64'].map((platform) => image.platforms[platform]!);
    const subjects = [amd64!, arm64!];
    const upstream = registry.repository(HOST, 'app');
    for (const subject of [...subjects, attestations[0]!]) {
      await push(signature, cosignTags(subject)[0]);
      await push(signature);
      const list = referrersIndex([{ ...signature.root, mediaType: signature.root.mediaType }]);
      await upstream.putManifest(referrersTag(subject), list, 'application/vnd.oci.image.index.v1+json');
    }
    const kept = async () => {
      const { tags } = await cache.listTags();
      return tags.filter((tag) => tag.startsWith('sha256-')).sort();
    };
    const about = (...of: string[]) => of.flatMap((one) => [referrersTag(one), cosignTags(one)[0]!]).sort();
    expect((await copy(wanting('linux/amd64'))).referrers).toEqual({ count: 2 });
    expect(await kept()).toEqual(about(amd64!));
    // Kept from now on.
    expect((await copy({ ...wanting('linux/amd64', 'linux/arm64'), verify: image.digest })).referrers).toEqual({
      count: 3,
    });
    expect(await kept()).toEqual(about(...subjects));
    for (const tag of about(...subjects)) await cache.deleteTag(tag);
    // The copy is whole; what is about it comes back all the same.
    await copy({ ...wanting('linux/amd64', 'linux/arm64'), verify: image.digest });
    expect(await kept()).toEqual(about(...subjects));
  });

  it('of an image whose list of tags tells of nothing about it costs two requests for that', async () => {
    const before = registry.requests.length;
    await copy(wanting('linux/amd64'));
    const about = registry.requests
      .slice(before)
      .filter(({ host, operation }) => host === HOST && !['open-manifest', 'open-blob'].includes(operation));
    expect(about.map(({ operation }) => operation)).toEqual(['referrers', 'tags']);
  });

  it('looks for what refers to the image while its blobs are copied, and ends that with a copy that fails', async () => {
    const order: string[] = [];
    let ended = false;
    does = ({ host, operation }) => {
      if (host === HOST && (operation === 'referrers' || operation === 'open-blob')) order.push(operation);
      if (host === 'cache.test' && operation === 'put-manifest') throw new RegistryError('server-error', 'full');
    };
    const upstream: CopyRoute['registry']['upstream'] = (host, repository) => ({
      ...registry.repository(host, repository),
      listTags: ({ signal: ending } = {}) =>
        new Promise((_resolve, reject) => {
          ending!.addEventListener('abort', () => {
            ended = true;
            reject(new RegistryError('aborted', 'ended'));
          });
        }),
    });
    copies = registryCopies({ ...ROUTE, registry: { ...registry.access, upstream } });
    await expect(copy()).rejects.toMatchObject({ code: 'server-error' });
    expect(order[0]).toBe('referrers');
    expect(order).toContain('open-blob');
    expect(ended).toBe(true);
  });

  it.each<[string, BrokeredCredential[], boolean]>([
    ['nothing', [{ kind: 'anonymous' }], true],
    ['what the registry gives to anybody', [{ kind: 'bearer', token: 't', expiresAtMs: 9e15, anonymous: true }], true],
    ['a credential', [{ kind: 'bearer', token: 't', expiresAtMs: 9e15 }], false],
    [
      'a credential first and nothing then',
      [{ kind: 'header', value: 'h', expiresAtMs: 9e15 }, { kind: 'anonymous' }],
      false,
    ],
  ])('that was given %s knows whether anybody may read it', async (_name, given, isPublic) => {
    const brokered = brokeredCredentials({
      credential: () => Promise.resolve(given.length > 1 ? given.shift()! : given[0]!),
    });
    // Asked for at each request, as a real registry's client does.
    const upstream: CopyRoute['registry']['upstream'] = (host, repository, source) => {
      const client = registry.repository(host, repository);
      const ask = () => source.credentials({ host, repository, actions: ['pull'] });
      return {
        ...client,
        openManifest: async (...request) => (await ask(), client.openManifest(...request)),
        listReferrers: async (...request) => (await ask(), client.listReferrers(...request)),
      };
    };
    copies = registryCopies({
      ...ROUTE,
      credentials: brokered,
      registry: { ...registry.access, upstream },
      now: () => 7,
    });
    expect((await copy()).publicAt).toBe(isPublic ? 7 : undefined);
    // What is in the cache was not shown now: its tag is a digest, and upstream is not asked.
    expect((await copy({ upstreamReference: image.digest })).publicAt).toBeUndefined();
  });

  it('asks a host without the referrers API by its fallback tag alone from then on', async () => {
    const asked = () => registry.requests.filter(({ operation }) => operation === 'referrers').length;
    await copy();
    await copy({ thorough: true });
    expect(asked()).toBe(1);
  });
});
