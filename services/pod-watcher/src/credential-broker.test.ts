import { describe, expect, it } from '@jest/globals';
import { type BrokeredCredential, ERROR_CODES, newSealingKey, openCredential } from '@kuik/contracts';
import { type KubeObject, SECRETS, SERVICE_ACCOUNTS } from '@kuik/kube';
import { memoryKube } from '@kuik/kube/memory';
import { silentLogger } from '@kuik/runtime';
import { BrokerRefusal } from './broker-refusal.ts';
import { ClusterView } from './cluster-view.ts';
import { CredentialBroker } from './credential-broker.ts';
import { SecretReader } from './secret-reader.ts';
import { TokenReviews } from './token-reviews.ts';
import { at, cachedImage, deciderOf, NOW, podView, upstreamStanza } from './testing/objects.ts';

const TOKEN: BrokeredCredential = { kind: 'bearer', token: 'pull-me', expiresAtMs: NOW + 1000 };
const CHOSEN: BrokeredCredential = {
  ...TOKEN,
  tried: ['default/regcred'],
  unread: [{ name: 'default/broken', mistake: 'is not JSON' }],
};
const PROXY = {
  authenticated: true,
  audiences: ['kuik-broker'],
  username: 'system:serviceaccount:proxy:kuik-node-proxy',
  nodeName: 'node-1',
};
const MONITOR = { ...PROXY, username: 'system:serviceaccount:kuik:kuik-monitor' };

function setup() {
  const kube = memoryKube();
  kube.setToken('of-node-1', PROXY);
  kube.setToken('of-node-2', { ...PROXY, nodeName: 'node-2' });
  kube.setToken('of-monitor', MONITOR);
  const clock = { now: NOW };
  const now = () => clock.now;
  const usageOptions = { decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 };
  const view = new ClusterView(usageOptions, now);
  const chosen: string[][] = [];
  const references: (string | undefined)[] = [];
  const backgrounds: (boolean | undefined)[] = [];
  const counted: string[] = [];
  const registry: { refusal?: BrokerRefusal } = {};
  const broker = new CredentialBroker({
    reviews: new TokenReviews({
      kube,
      view,
      rules: {
        audience: 'kuik-broker',
        nodeProxies: ['proxy/kuik-node-proxy'],
        services: ['kuik/kuik-monitor'],
        monitor: 'kuik/kuik-monitor',
      },
      reviewTtlMs: 300_000,
      now,
    }),
    view,
    secrets: new SecretReader(kube, 10_000, now),
    chooser: {
      choose: (_host, _repository, secrets, { reference, background } = {}) => {
        references.push(reference?.());
        backgrounds.push(background);
        chosen.push(
          secrets.map(({ source, mistake }) => `${source.namespace}/${source.name}${mistake === undefined ? '' : '!'}`),
        );
        return registry.refusal === undefined ? Promise.resolve(CHOSEN) : Promise.reject(registry.refusal);
      },
    },
    podWaitMs: 30,
    fallbackSecrets: { 'registry.example.test': { namespace: 'kuik', name: 'for-checks' } },
    now,
    log: silentLogger,
    count: (requester, result) => counted.push(`${requester} ${result}`),
  });
  const key = newSealingKey();
  const ask = (token: string, change = {}) =>
    broker.answer({ host: 'registry.example.test', repository: 'shop', token, publicKey: key.publicKey, ...change });
  const secret = (name: string) => kube.put<KubeObject>(SECRETS, { metadata: { name, namespace: 'default' } });
  return { kube, view, clock, registry, chosen, references, backgrounds, counted, key, ask, secret };
}

describe('CredentialBroker', () => {
  it('seals a credential to the proxy whose node runs a pod that uses the repository', async () => {
    const { view, ask, key, counted, chosen, secret, kube } = setup();
    secret('regcred');
    kube.put(SERVICE_ACCOUNTS, {
      metadata: { name: 'default', namespace: 'default' },
      imagePullSecrets: [{ name: 'of-account' }, { name: 'missing' }],
    } as never);
    secret('of-account');
    view.putHolder(podView({ pullSecrets: ['regcred', 'absent'] }));
    const reply = await ask('of-node-1');
    expect(reply).not.toHaveProperty('error');
    expect(openCredential((reply as { sealed: string }).sealed, key.privateKey)).toEqual(TOKEN);
    expect(() => openCredential((reply as { sealed: string }).sealed, newSealingKey().privateKey)).toThrow();
    expect(chosen).toEqual([['default/regcred', 'default/of-account']]);
    expect(counted).toEqual(['node bearer']);
  });

  it.each([
    ['another node', 'of-node-2', {}, 'KUIK-CRD-403', true],
    ['another repository', 'of-node-1', { repository: 'other' }, 'KUIK-CRD-403', true],
    ['an unknown token', 'stolen', {}, 'KUIK-CRD-403', false],
    ['our own service, for what no CachedImage names', 'of-monitor', {}, 'KUIK-CRD-403', false],
    ['a malformed host', 'of-node-1', { host: '../etc' }, 'KUIK-PRX-400', false],
    ['a malformed key', 'of-node-1', { publicKey: 'bm8=' }, 'KUIK-CRD-403', false],
  ])('refuses %s', async (_name, token, change, code, retry) => {
    const { view, ask, key } = setup();
    view.putHolder(podView());
    const reply = await ask(token, change);
    expect(reply).toMatchObject({ error: { code, retry } });
    expect(JSON.stringify(reply)).not.toContain(key.publicKey);
  });

  it.each([
    ['of-node-1', 'refused 1 pull secret'],
    ['of-monitor', 'refused default/regcred'],
  ])('tells names of secrets to our own services, never to a node: %s', async (token, message) => {
    const { view, ask, registry } = setup();
    view.putHolder(podView({ pullSecrets: ['regcred'] }));
    view.putImage(cachedImage());
    registry.refusal = new BrokerRefusal(ERROR_CODES.unauthorized, 'refused default/regcred', false, {
      anonymised: 'refused 1 pull secret',
      tried: ['default/regcred'],
    });
    const tried = token === 'of-monitor' ? { tried: ['default/regcred'] } : {};
    expect(await ask(token)).toEqual({ error: { code: 'KUIK-REG-401', message, retry: false, ...tried } });
  });

  it('tells our own services which secrets were tried for a credential, and which gave no login', async () => {
    const { view, ask, key } = setup();
    view.putImage(cachedImage());
    const { sealed } = (await ask('of-monitor')) as { sealed: string };
    expect(openCredential(sealed, key.privateKey)).toEqual(CHOSEN);
  });

  it("lets monitor check with the host's fallback secret when no pod names one; a node never gets it", async () => {
    const { view, ask, kube, chosen } = setup();
    kube.put<KubeObject>(SECRETS, { metadata: { name: 'for-checks', namespace: 'kuik' } });
    view.putHolder(podView());
    view.putImage(cachedImage());
    await ask('of-monitor');
    await ask('of-node-1');
    expect(chosen).toEqual([['kuik/for-checks'], []]);
  });

  it('puts what our own services ask for behind what pulls wait for: what nodes ask for, and what a service says so of', async () => {
    const { view, ask, backgrounds } = setup();
    view.putHolder(podView());
    view.putImage(cachedImage());
    await ask('of-node-1');
    await ask('of-monitor');
    await ask('of-monitor', { pull: true });
    expect(backgrounds).toEqual([false, true, false]);
  });

  it('has logins proven on an image of the repository, known by its pod or its resource', async () => {
    const { view, ask, references } = setup();
    view.putHolder(podView());
    await ask('of-node-1');
    view.putImage(cachedImage({ spec: { sourceImage: `registry.example.test/shop@sha256:${'a'.repeat(64)}` } }));
    await ask('of-node-1');
    expect(references).toEqual(['1.0', `sha256:${'a'.repeat(64)}`]);
  });

  it('has them proven on one that upstream has, when there is any', async () => {
    const { view, ask, references } = setup();
    view.putHolder(podView());
    view.putImage(cachedImage({ status: { upstream: upstreamStanza({ state: 'RateLimited', goneSince: at(0) }) } }));
    await ask('of-node-1');
    const other = {
      metadata: { name: 'other', uid: 'other' },
      spec: { sourceImage: 'registry.example.test/shop:2.0' },
    };
    view.putImage(cachedImage(other));
    await ask('of-node-1');
    expect(references).toEqual(['1.0', '2.0']);
  });

  it('waits for a pod that no watch has shown yet', async () => {
    const { view, ask, kube } = setup();
    const answer = ask('of-node-1');
    view.putHolder(podView({ name: 'other', node: 'node-2' }));
    setImmediate(() => view.putHolder(podView()));
    expect(await answer).toHaveProperty('sealed');
    // Nobody listens on once it is answered.
    expect(kube.calls.filter(({ verb }) => verb === 'tokenreview')).toHaveLength(1);
  });

  it('gives our own services whatever a CachedImage names, by the secrets of every pod and of pods that are gone', async () => {
    const { view, ask, chosen, secret } = setup();
    ['a', 'b'].forEach(secret);
    view.putHolder(podView({ node: 'node-9', pullSecrets: ['a'] }));
    view.putImage(cachedImage({ status: { pullSecrets: [{ namespace: 'default', name: 'b' }] } }));
    expect(await ask('of-monitor')).toHaveProperty('sealed');
    expect(chosen).toEqual([['default/a', 'default/b']]);
  });

  it('believes a review for minutes, and secrets for seconds', async () => {
    const { view, ask, kube, clock, secret } = setup();
    secret('regcred');
    view.putHolder(podView({ pullSecrets: ['regcred'] }));
    const calls = (what: string) =>
      kube.calls.filter(({ verb, resource }) => verb === what || resource === what).length;
    await ask('of-node-1');
    await ask('of-node-1');
    expect([calls('tokenreview'), calls('secrets')]).toEqual([1, 1]);
    await ask('of-node-1', { renew: true });
    expect([calls('tokenreview'), calls('secrets')]).toEqual([1, 2]);
    clock.now += 11_000;
    await ask('of-node-1');
    expect([calls('tokenreview'), calls('secrets')]).toEqual([1, 3]);
    clock.now += 300_000;
    await ask('of-node-1');
    expect(calls('tokenreview')).toBe(2);
  });

  it('never lists or watches secrets and service accounts', async () => {
    const { view, ask, kube, secret } = setup();
    secret('regcred');
    view.putHolder(podView({ pullSecrets: ['regcred'] }));
    await ask('of-node-1');
    const verbs = kube.calls
      .filter(({ resource }) => ['secrets', 'serviceaccounts'].includes(resource))
      .map(({ verb }) => verb);
    expect(new Set(verbs)).toEqual(new Set(['get']));
  });

  it('says so when the API server is away, and goes on without a secret that it may not read', async () => {
    const { view, ask, kube, chosen } = setup();
    view.putHolder(podView({ pullSecrets: ['regcred'] }));
    kube.failNext('unavailable', { verb: 'tokenreview' });
    expect(await ask('of-node-1')).toMatchObject({ error: { code: 'KUIK-CRD-503', retry: true } });
    kube.failNext('forbidden', { resource: SECRETS });
    expect(await ask('of-node-1')).toHaveProperty('sealed');
    expect(chosen).toEqual([['default/regcred!']]);
  });
});
