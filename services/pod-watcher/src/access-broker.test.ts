import { describe, expect, it } from '@jest/globals';
import type { AccessRecord, AccessVerdictRequest, CacheStanza } from '@kuik/contracts';
import { type KubeObject, SECRETS } from '@kuik/kube';
import { memoryKube } from '@kuik/kube/memory';
import { type Credential, RegistryError } from '@kuik/registry';
import { silentLogger } from '@kuik/runtime';
import { AccessBroker } from './access-broker.ts';
import { AccessRecords } from './access-records.ts';
import { AccessSources } from './access-sources.ts';
import type { LoginProviders } from './choose-credential.ts';
import { ClusterView } from './cluster-view.ts';
import type { ProvingRegistry } from './prove-access.ts';
import { SecretReader } from './secret-reader.ts';
import { cachedImage, cacheStanza, deciderOf, NOW, podView, repository } from './testing/objects.ts';

const MINUTE = 60_000;
type Who = AccessVerdictRequest['who'];
type Upstream = 'up' | 'down' | 'gone' | 'limited' | 'silent';

/** A registry that knows some passwords, a bucket, and replicas of the broker between them. */
function setup({ granted = {}, providers }: { granted?: Record<string, string[]>; providers?: LoginProviders } = {}) {
  const kube = memoryKube();
  const clock = { now: NOW };
  const now = () => clock.now;
  const view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 }, now);
  const upstream = { state: 'up' as Upstream, accepts: new Set<string>(), asked: [] as string[] };
  const answer = (password: string): Promise<unknown> => {
    upstream.asked.push(password);
    const fail = (code: ConstructorParameters<typeof RegistryError>[0]) =>
      Promise.reject(new RegistryError(code, code));
    if (upstream.state === 'down') return fail('timeout');
    if (upstream.state === 'silent') return new Promise(() => undefined);
    if (upstream.state === 'limited' && password === 'anonymous') return fail('rate-limited');
    if (!upstream.accepts.has(password)) return fail('unauthorized');
    return upstream.state === 'gone' ? fail('not-found') : Promise.resolve();
  };
  const registry = {
    exchangePullToken: (_host: string, _repository: string, credential: Credential) =>
      Promise.resolve(
        credential.kind === 'basic'
          ? { kind: 'header', value: credential.password }
          : { kind: 'header', value: 'anonymous' },
      ),
    upstream: (_host: string, _path: string, source: { credentials(): Promise<{ value: string }[]> }) => {
      const ask = async () => answer((await source.credentials())[0]!.value);
      return { headManifest: ask, listTags: ask };
    },
  } as unknown as ProvingRegistry;
  const stored = new Map<string, AccessRecord>();
  const nats = { away: false };
  const bucket = {
    get: (key: string) => {
      const value = stored.get(key);
      if (nats.away) return Promise.reject(new Error('away'));
      return Promise.resolve(value === undefined ? undefined : { key, value, revision: 1 });
    },
    put: (key: string, value: AccessRecord) => {
      if (nats.away) return Promise.reject(new Error('away'));
      stored.set(key, value);
      return Promise.resolve(1);
    },
  };
  const counted: string[] = [];
  const replica = () =>
    new AccessBroker({
      reviews: {
        requester: (token) =>
          Promise.resolve(
            token === 'proxy'
              ? { kind: 'node', name: 'kuik/kuik-node-proxy', node: 'node-1' }
              : { kind: 'nobody', why: 'no' },
          ),
      },
      view,
      sources: new AccessSources({ view, secrets: new SecretReader(kube, 1, now), providers }),
      records: new AccessRecords(bucket, silentLogger),
      registry,
      rules: { publicForMs: 60 * MINUTE, verdictForMs: 10 * MINUTE, graceMs: 60 * MINUTE, unknownWhenDown: 'deny' },
      granted,
      podWaitMs: 20,
      patienceMs: 50,
      copyWaitMs: 30,
      now,
      log: silentLogger,
      count: (verdict, reason) => counted.push(`${verdict} ${reason}`),
    });
  let broker = replica();
  const secret = (namespace: string, name: string, password: string): void => {
    const config = JSON.stringify({ auths: { 'registry.example.test': { username: 'u', password } } });
    kube.put<KubeObject>(SECRETS, {
      metadata: { name, namespace },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(config).toString('base64') },
    } as unknown as KubeObject);
  };
  /** A pod that uses `registry.example.test/shop`, with its namespace's secret when it has one. */
  const pod = (namespace: string, change = {}): void =>
    view.putHolder(
      podView({ namespace, name: `of-${namespace}`, uid: namespace, pullSecrets: ['regcred'], ...change }),
    );
  const ask = async (who: Who, change = {}) => {
    const request = { host: 'registry.example.test', repository: 'shop', token: 'proxy', who, ...change };
    const { verdict, reason, of } = await broker.answer(request);
    return `${verdict} ${reason}${of === undefined ? '' : ` of ${of}`}`;
  };
  const a = { namespace: 'a', serviceAccount: 'default' };
  const b = { namespace: 'b', serviceAccount: 'default' };
  const restart = () => (broker = replica());
  return { view, clock, upstream, nats, counted, secret, pod, ask, restart, a, b, kube, stored };
}

/** Tenants a, with a secret that upstream takes, and b, with none. */
function tenants() {
  const world = setup();
  world.upstream.accepts.add('of-a');
  world.secret('a', 'regcred', 'of-a');
  world.pod('a');
  world.pod('b');
  return world;
}

describe('AccessBroker', () => {
  it('tells tenants apart by what upstream says of their own credentials', async () => {
    const { ask, a, b, upstream, stored } = tenants();
    expect(await ask(a)).toBe('allowed CredentialProven');
    expect(await ask(b)).toBe('denied CredentialRefused');
    expect(await ask('anyone')).toBe('denied NoGrant');
    expect(upstream.asked).toEqual(['anonymous', 'of-a']);
    expect(JSON.stringify([...stored.values()])).not.toContain('of-a"');
  });

  it('asks once for many at once, and not again within the lifetime', async () => {
    const { ask, a, clock, upstream } = tenants();
    await Promise.all([ask(a), ask(a), ask(a)]);
    clock.now += 9 * MINUTE;
    await ask(a);
    expect(upstream.asked).toEqual(['anonymous', 'of-a']);
    clock.now += 2 * MINUTE;
    await ask(a);
    expect(upstream.asked).toHaveLength(4);
  });

  it('asks as nobody once for all accounts that ask at once', async () => {
    const { ask, a, b, upstream } = tenants();
    expect(await Promise.all([ask(a), ask(b), ask('anyone')])).toEqual([
      'allowed CredentialProven',
      'denied CredentialRefused',
      'denied NoGrant',
    ]);
    expect(upstream.asked.toSorted()).toEqual(['anonymous', 'of-a']);
  });

  describe('of a copy that brought no credential', () => {
    const copied = (cache: CacheStanza) => cachedImage({ status: { cache } });
    const shownAt = (ms: number) => cacheStanza({ publicAt: new Date(ms).toISOString() });

    it('takes the word for as long as its own, and asks nobody', async () => {
      const { ask, a, b, clock, upstream, view } = tenants();
      view.putImage(copied(shownAt(NOW - MINUTE)));
      expect(await Promise.all([ask(a), ask(b), ask('anyone')])).toEqual(Array(3).fill('allowed Public'));
      expect(upstream.asked).toEqual([]);
      clock.now += 58 * MINUTE;
      expect(await ask('anyone')).toBe('allowed Public');
      clock.now += 2 * MINUTE;
      expect(await ask('anyone')).toBe('denied NoGrant');
      expect(upstream.asked).toEqual(['anonymous']);
    });

    it('believes what was refused since', async () => {
      const { ask, b, upstream, view, clock } = tenants();
      expect(await ask(b)).toBe('denied CredentialRefused');
      view.putImage(copied(shownAt(NOW - 1)));
      clock.now += 11_000;
      expect(await ask(b)).toBe('denied CredentialRefused');
      expect(upstream.asked).toEqual(['anonymous', 'anonymous']);
    });

    it.each<[string, CacheStanza]>([
      ['brought one', cacheStanza()],
      ['is of an object before this one', { ...shownAt(NOW), forUid: 'another' }],
      ['names no time', cacheStanza({ publicAt: 'lately' })],
    ])('proves nothing when it %s', async (_name, cache) => {
      const { ask, view, upstream } = tenants();
      view.putImage(copied(cache));
      expect(await ask('anyone')).toBe('denied NoGrant');
      expect(upstream.asked).toEqual(['anonymous']);
    });

    it('waits a moment for it where nobody waits for the answer', async () => {
      const { ask, view, upstream } = tenants();
      const answer = ask('node');
      setImmediate(() => view.putImage(copied(shownAt(NOW))));
      expect(await answer).toBe('allowed Public of a/default');
      expect(upstream.asked).toEqual([]);
    });
  });

  it('denies whoever was revoked, once the lifetime is over', async () => {
    const { ask, a, clock, upstream } = tenants();
    await ask(a);
    upstream.accepts.clear();
    clock.now += 9 * MINUTE;
    expect(await ask(a)).toBe('allowed CredentialProven');
    clock.now += 2 * MINUTE;
    expect(await ask(a)).toBe('denied CredentialRefused');
    upstream.state = 'down';
    clock.now += MINUTE;
    expect(await ask(a)).toBe('unknown UpstreamDown');
  });

  it.each<Upstream>(['down', 'gone', 'silent'])(
    'holds what was proven for its grace while upstream is %s',
    async (state) => {
      const { ask, a, b, clock, upstream } = tenants();
      await ask(a);
      upstream.state = state;
      clock.now += 30 * MINUTE;
      expect(await ask(a)).toBe('allowed Grace');
      expect(await ask(b)).toMatch(state === 'gone' ? 'denied CredentialRefused' : 'unknown UpstreamDown');
      clock.now += 41 * MINUTE;
      expect(await ask(a)).toBe('unknown UpstreamDown');
    },
  );

  it('shares what it knows with the next replica, while upstream and then NATS are down', async () => {
    const { ask, a, upstream, restart, nats, clock } = tenants();
    await ask(a);
    upstream.state = 'down';
    restart();
    expect(await ask(a)).toBe('allowed CredentialProven');
    nats.away = true;
    clock.now += 30 * MINUTE;
    expect(await ask(a)).toBe('allowed Grace');
    restart();
    expect(await ask(a)).toBe('unknown UpstreamDown');
  });

  it('lets everybody have what anyone may read, until that changes', async () => {
    const { ask, b, upstream, clock } = tenants();
    upstream.accepts.add('anonymous');
    expect(await ask(b)).toBe('allowed Public');
    upstream.accepts.delete('anonymous');
    clock.now += 61 * MINUTE;
    expect(await ask(b)).toBe('denied CredentialRefused');
  });

  it('tries credentials although anonymous requests are limited', async () => {
    const { ask, a, upstream } = tenants();
    upstream.state = 'limited';
    expect(await ask(a)).toBe('allowed CredentialProven');
  });

  it('counts a credential of a Repository for everybody', async () => {
    const { ask, b, upstream, secret, view } = tenants();
    upstream.accepts.add('of-cluster');
    secret('infra', 'shared', 'of-cluster');
    view.putRepository(repository({ spec: { pullSecretNames: ['shared'], pullSecretsNamespace: 'infra' } }));
    expect(await ask(b)).toBe('allowed ClusterCredential');
    expect(await ask('anyone')).toBe('allowed ClusterCredential');
  });

  it.each([
    ['registry.example.test', 'allowed ClusterCredential', ['anonymous', 'of-cloud']],
    ['another.example.test', 'denied NoGrant', ['anonymous']],
  ])('counts an identity that the cluster itself has at %s for everybody: %s', async (host, expected, asked) => {
    const credential = { kind: 'basic', username: 'cloud', password: 'of-cloud' } as const;
    const providers: LoginProviders = {
      covers: (of, repository) => of === host && repository === 'shop',
      logins: () => Promise.resolve({ candidates: [{ of: 'provider', label: 'cloud', credential }], mistakes: [] }),
    };
    const { ask, pod, upstream } = setup({ providers });
    upstream.accepts.add('of-cloud');
    pod('b', { pullSecrets: [] });
    expect(await ask('anyone')).toBe(expected);
    expect(upstream.asked).toEqual(asked);
  });

  it('takes the word of the operator', async () => {
    const { ask, pod, b, upstream } = setup({ granted: { b: ['registry.example.test/sh*'] } });
    pod('b');
    expect(await ask(b)).toBe('allowed GrantedByOperator');
    expect(upstream.asked).toEqual([]);
  });

  it('notices a new secret within seconds of a refusal', async () => {
    const { ask, b, clock, secret, upstream } = tenants();
    expect(await ask(b)).toBe('denied CredentialRefused');
    secret('b', 'regcred', 'of-b');
    upstream.accepts.add('of-b');
    clock.now += 11_000;
    expect(await ask(b)).toBe('allowed CredentialProven');
  });

  it('says whose pod of a node would be denied', async () => {
    const { ask, pod } = tenants();
    expect(await ask('node')).toBe('denied CredentialRefused of b/default');
    pod('b', { node: 'node-2' });
    expect(await ask('node')).toBe('allowed CredentialProven of a/default');
  });

  it('asks no registry that nobody uses, and waits a moment for a pod that no watch has shown yet', async () => {
    const { ask, upstream, pod, view, a } = setup();
    expect(await ask('anyone')).toBe('denied NotUsed');
    expect(upstream.asked).toEqual([]);
    const answer = ask(a);
    setImmediate(() => pod('a'));
    expect(await answer).toBe('denied CredentialRefused');
    view.putImage(cachedImage());
    expect(await ask('anyone')).toBe('denied NoGrant');
  });

  it('says of which registries anything is used, by pods and by resources, and waits a moment for a new pod', async () => {
    const { ask, upstream, pod, view, a } = setup();
    const askHost = (host: string) => ask('host', { host, repository: 'whatever' });
    const [own, other] = ['registry.example.test', 'quay.io'];
    expect(await askHost(own)).toBe('denied HostNotUsed');
    const answer = askHost(own);
    setImmediate(() => pod('a'));
    expect(await answer).toBe('allowed HostUsed');
    view.removeHolder('pods a/of-a');
    expect(await askHost(own)).toBe('denied HostNotUsed');

    const named = repository({ spec: { name: 'quay.io/team/app' } });
    view.putRepository(named);
    expect([await askHost(own), await askHost(other)]).toEqual(['denied HostNotUsed', 'allowed HostUsed']);
    view.removeRepository(named);
    expect(await askHost(other)).toBe('denied HostNotUsed');
    const relisted = askHost(other);
    setImmediate(() => view.repositoriesListed([named]));
    expect(await relisted).toBe('allowed HostUsed');
    view.repositoriesListed([]);
    expect(await askHost(other)).toBe('denied HostNotUsed');

    const image = cachedImage();
    view.putImage(image);
    expect(await askHost(own)).toBe('allowed HostUsed');
    view.removeImage(image);
    expect(await askHost(own)).toBe('denied HostNotUsed');
    view.imagesListed([image]);
    expect(await askHost(own)).toBe('allowed HostUsed');
    view.imagesListed([]);
    expect(await askHost(own)).toBe('denied HostNotUsed');
    expect(await ask(a, { token: 'stolen' })).toBe('unknown NotOurs');
    expect(upstream.asked).toEqual([]);
  });

  it.each([
    ['a stranger', { token: 'stolen' }, 'unknown NotOurs'],
    ['a malformed host', { host: '../etc' }, 'unknown Malformed'],
    ['a malformed repository', { repository: 'A%2f..' }, 'unknown Malformed'],
  ])('tells nothing to or of %s', async (_what, change, expected) => {
    const { ask, a, counted } = tenants();
    expect(await ask(a, change)).toBe(expected);
    expect(counted).toEqual([expected]);
  });

  it('answers all the same when something fails', async () => {
    const { ask, a, kube } = tenants();
    kube.failNext('unavailable', { resource: SECRETS });
    expect(await ask(a)).toBe('unknown BrokerFailed');
    expect(await ask(a)).toBe('allowed CredentialProven');
  });
});
