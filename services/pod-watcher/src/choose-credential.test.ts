import { describe, expect, it } from '@jest/globals';
import { type Credential, type PullToken, type PullTokenExchange, RegistryError } from '@kuik/registry';
import type { BrokerRefusal } from './broker-refusal.ts';
import { CredentialChooser, type LoginProviders } from './choose-credential.ts';
import type { ReadSecret } from './secret-reader.ts';
import { NOW } from './testing/objects.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const secret = (name: string, username: string, registry = 'quay.io'): ReadSecret => ({
  source: { namespace: 'shop', name },
  secret: {
    metadata: { name, uid: name, resourceVersion: '1' },
    type: 'kubernetes.io/dockerconfigjson',
    data: {
      '.dockerconfigjson': base64(JSON.stringify({ auths: { [registry]: { auth: base64(`${username}:hunter2`) } } })),
    },
  },
});
const broken: ReadSecret = { source: { namespace: 'shop', name: 'broken' }, mistake: 'kuik may not read it' };
const refusal = () =>
  new RegistryError('unauthorized', 'token from https://auth.test/token: status 401', { status: 401 });
const who = (credential: Credential): string => (credential.kind === 'basic' ? credential.username : credential.kind);

/** A registry that lets these users in; `hollow` ones get a token that opens nothing, and it hides from `blind` ones that there is anything. */
function setup(allowed: string[], hollow: string[] = [], providers?: LoginProviders, blind: string[] = []) {
  const asked: string[] = [];
  const references: (string | undefined)[] = [];
  const clock = { now: NOW };
  const exchange = {
    async exchangePullToken(
      _host: string,
      _repository: string,
      credential: Credential,
      options: { verify?: boolean | undefined; reference?: string | undefined } = {},
    ) {
      const name = who(credential);
      asked.push(options.verify === true ? `${name}?` : name);
      references.push(options.reference);
      if (options.verify === true && blind.includes(name)) throw new RegistryError('not-found', 'no such repository');
      if (hollow.includes(name) && options.verify !== true) return bearer(name);
      if (allowed.includes(name)) return bearer(name);
      throw refusal();
    },
  };
  const bearer = (name: string): PullToken => ({
    kind: 'bearer',
    token: `for-${name}`,
    expiresAtMs: clock.now + 100_000,
  });
  const options = { exchange, now: () => clock.now, headerTtlMs: 60_000 };
  const chooser = new CredentialChooser(providers === undefined ? options : { ...options, providers });
  return {
    chooser,
    asked,
    references,
    clock,
    exchange,
    choose: (secrets: ReadSecret[], options = {}) => chooser.choose('quay.io', 'a/b', secrets, options),
  };
}

describe('CredentialChooser', () => {
  it('says of a question whether a pull waits for it, also when that came later', async () => {
    const asked: AbortSignal[] = [];
    let answer = (): void => undefined;
    const exchange: PullTokenExchange = {
      exchangePullToken: (_host, _repository, _credential, { background } = {}) => {
        asked.push(background!);
        return new Promise((resolve) => (answer = () => resolve({ kind: 'bearer', token: 't', expiresAtMs: NOW })));
      },
    };
    const chooser = new CredentialChooser({ exchange, now: () => NOW, headerTtlMs: 60_000 });
    const background = async (): Promise<boolean[]> => {
      await new Promise((resolve) => setImmediate(resolve));
      return asked.map(({ aborted }) => !aborted);
    };
    const copy = chooser.choose('quay.io', 'a/b', [], { background: true });
    expect(await background()).toEqual([true]);
    const pull = chooser.choose('quay.io', 'a/b', []);
    const check = chooser.choose('quay.io', 'a/b', [], { background: true });
    expect(await background()).toEqual([false]);
    answer();
    for (const given of [copy, pull, check]) expect(await given).toMatchObject({ token: 't' });
    const next = chooser.choose('quay.io', 'a/b', [], { background: true });
    expect(await background()).toEqual([false, true]);
    answer();
    await next;
  });

  it.each<[string, ReadSecret[], true | undefined]>([
    ['anybody', [], true],
    ['a login', [secret('s1', 'u1')], undefined],
  ])('says whom a token was given to: %s', async (_whom, secrets, anonymous) => {
    const { choose } = setup(['u1', 'anonymous']);
    expect(await choose(secrets)).toMatchObject({ kind: 'bearer', ...(anonymous === true ? { anonymous } : {}) });
    expect('anonymous' in (await choose(secrets))).toBe(anonymous === true);
  });

  it.each<[string, ReadSecret[], string[], string[], string, string[]]>([
    ['no secret: anonymous', [], ['anonymous'], [], 'for-anonymous', ['anonymous']],
    ['a secret before anonymous', [secret('s1', 'u1')], ['u1', 'anonymous'], [], 'for-u1', ['u1']],
    [
      'anonymous when the secret is refused',
      [secret('s1', 'u1')],
      ['anonymous'],
      [],
      'for-anonymous',
      ['u1', 'anonymous'],
    ],
    ['the next of several', [secret('s1', 'u1'), secret('s2', 'u2')], ['u2'], [], 'for-u2', ['u1?', 'u2?']],
    [
      'a token that opens nothing is passed over',
      [secret('s1', 'u1'), secret('s2', 'u2')],
      ['u2'],
      ['u1'],
      'for-u2',
      ['u1?', 'u2?'],
    ],
    [
      'the first token when none is proven: upstream will tell',
      [secret('s1', 'u1'), secret('s2', 'u2')],
      [],
      ['u1', 'u2'],
      'for-u1',
      ['u1?', 'u2?', 'anonymous', 'u1'],
    ],
    ['a broken secret keeps no other from being tried', [broken, secret('s1', 'u1')], ['u1'], [], 'for-u1', ['u1']],
  ])('%s', async (_name, secrets, allowed, hollow, token, asked) => {
    const registry = setup(allowed, hollow);
    await expect(registry.choose(secrets)).resolves.toMatchObject({ kind: 'bearer', token });
    expect(registry.asked).toEqual(asked);
  });

  it.each<[string, string[], ReadSecret[], object]>([
    ['anonymous', ['anonymous'], [broken], {}],
    ['another secret', ['u1'], [broken, secret('s1', 'u1')], { tried: ['shop/s1'] }],
  ])('says which secrets gave no login beside a token for %s', async (_whom, allowed, secrets, told) => {
    const given = await setup(allowed).choose(secrets);
    expect(given).toMatchObject({ ...told, unread: [{ name: 'shop/broken', mistake: 'kuik may not read it' }] });
  });

  it('asks once for many who ask at once, and again when its word is old', async () => {
    const { choose, asked, clock } = setup(['u1']);
    await Promise.all([1, 2, 3].map(() => choose([secret('s1', 'u1')])));
    expect(asked).toEqual(['u1']);
    clock.now += 79_000;
    await choose([secret('s1', 'u1')]);
    expect(asked).toHaveLength(1);
    clock.now += 2_000;
    await choose([secret('s1', 'u1')]);
    expect(asked).toHaveLength(2);
    await choose([secret('s1', 'u1')], { renew: true });
    expect(asked).toHaveLength(3);
  });

  it('says which secrets were refused, and never what they hold', async () => {
    const error = await setup([])
      .choose([secret('s1', 'u1')])
      .catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({
      code: { code: 'KUIK-REG-401' },
      retry: false,
      message: 'the registry refused every credential (pull secret shop/s1; anonymous)',
      anonymised: 'the registry refused every credential (1 pull secret, anonymous)',
      tried: ['shop/s1'],
    });
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('hunter2');
  });

  it.each<[string, string[], string[], string[]]>([
    ['the one whose token it is', ['u1'], [], ['shop/s1']],
    ['those refused before it', ['u2'], [], ['shop/s1', 'shop/s2']],
    ['those refused before anonymous', ['anonymous'], [], ['shop/s1', 'shop/s2']],
    ['all, when none is proven', [], ['u1', 'u2'], ['shop/s1', 'shop/s2']],
  ])('says which secrets were tried: %s', async (_name, allowed, hollow, tried) => {
    await expect(setup(allowed, hollow).choose([secret('s1', 'u1'), secret('s2', 'u2')])).resolves.toMatchObject({
      tried,
    });
  });

  it.each<[string, string[], string[], string, string[]]>([
    ['the next one is tried', ['u1', 'u2', 'anonymous'], ['u1'], 'for-u2', ['u1?', 'u2?']],
    ['it is tried before nobody', ['u1', 'u2', 'anonymous'], ['u1', 'u2'], 'for-u1', ['u1?', 'u2?', 'u1']],
  ])('a login that is told that there is nothing: %s', async (_name, allowed, blind, token, asked) => {
    const registry = setup(allowed, [], undefined, blind);
    const secrets = [secret('s1', 'u1'), secret('s2', 'u2')];
    await expect(registry.choose(secrets, { reference: () => 'v1' })).resolves.toMatchObject({ token });
    expect(registry.asked).toEqual(asked);
    expect(new Set(registry.references)).toEqual(new Set(['v1']));
  });

  it('looks for no image to prove the only login on', async () => {
    let asked = 0;
    await setup(['u1']).choose([secret('s1', 'u1')], { reference: () => `v${(asked += 1)}` });
    expect(asked).toBe(0);
  });

  it('tries every login whose token opened nothing, not the first alone', async () => {
    // The first one is refused by the token server itself, the other by the repository only.
    const { choose, asked } = setup([], ['u2']);
    await expect(choose([secret('s1', 'u1'), secret('s2', 'u2')])).resolves.toMatchObject({ token: 'for-u2' });
    expect(asked).toEqual(['u1?', 'u2?', 'anonymous', 'u1', 'u2']);
  });

  it('tries a login once, however many secrets hold it, and names them all', async () => {
    const copies = ['s1', 's2', 's3'].map((name) => secret(name, 'u1'));
    const { choose, asked } = setup([]);
    await expect(choose(copies)).rejects.toMatchObject({ tried: ['shop/s1', 'shop/s2', 'shop/s3'] });
    expect(asked).toEqual(['u1', 'anonymous']);
    const open = setup(['u1']);
    await open.choose(copies);
    expect(open.asked).toEqual(['u1']);
  });

  it('begins with the login that worked last for the repository, as long as its secret is there', async () => {
    const { choose, asked, clock } = setup(['u2']);
    const both = [secret('s1', 'u1'), secret('s2', 'u2')];
    await choose(both);
    clock.now += 90_000;
    await choose(both);
    expect(asked).toEqual(['u1?', 'u2?', 'u2?']);
    clock.now += 90_000;
    await expect(choose([secret('s1', 'u1')])).rejects.toMatchObject({ tried: ['shop/s1'] });
    expect(asked.slice(3)).toEqual(['u1', 'anonymous']);
  });

  it('tries the most specific entry first, whichever secret it is of', async () => {
    const { choose, asked } = setup(['deep']);
    await choose([secret('s0', 'glob', '*.io'), secret('s1', 'host'), secret('s2', 'deep', 'quay.io/a')]);
    expect(asked).toEqual(['deep?']);
  });

  it('names a broken secret when nothing else got through', async () => {
    await expect(setup([]).choose([broken])).rejects.toMatchObject({
      code: { code: 'KUIK-CRD-422' },
      message: 'secret shop/broken kuik may not read it (tried: anonymous)',
      anonymised: 'a pull secret kuik may not read it (tried: no pull secrets, anonymous)',
    });
  });

  it.each([
    ['no secret', [], 'no pull secrets'],
    ['one secret with two logins', [secret('s1', 'u1'), secret('s1', 'u2')], '1 pull secret'],
    ['two secrets and broken ones', [secret('s1', 'u1'), broken, secret('s2', 'u2'), broken], '2 pull secrets'],
  ])('has a form without any name for nodes: %s', async (_name, secrets, numbers) => {
    const error = await setup([])
      .choose(secrets)
      .catch((caught: unknown) => caught as BrokerRefusal);
    const { anonymised, message } = error as BrokerRefusal;
    expect(anonymised).toContain(`${numbers}, anonymous`);
    expect(anonymised).not.toMatch(/shop|s1|s2|broken/);
    for (const { source } of secrets) expect(message).toContain(`${source.namespace}/${source.name}`);
  });

  it.each([
    ['refused', 'KUIK-REG-503', true],
    ['timeout', 'KUIK-REG-504', true],
    ['rate-limited', 'KUIK-REG-429', true],
    ['server-error', 'KUIK-REG-502', true],
    ['tls', 'KUIK-REG-531', false],
  ] as const)('a registry that is %s is no refusal', async (code, kuik, retry) => {
    const { exchange, choose } = setup([]);
    exchange.exchangePullToken = () => Promise.reject(new RegistryError(code, 'no'));
    await expect(choose([secret('s1', 'u1')])).rejects.toMatchObject({ code: { code: kuik }, retry });
  });

  it('hands out a header for a while, and nothing where nothing is asked', async () => {
    const { exchange, choose } = setup([]);
    exchange.exchangePullToken = () => Promise.resolve({ kind: 'header', value: 'Basic x' });
    await expect(choose([secret('s1', 'u1')])).resolves.toEqual({
      kind: 'header',
      value: 'Basic x',
      expiresAtMs: NOW + 60_000,
      account: expect.stringMatching(/^[0-9a-f]{32}$/),
      tried: ['shop/s1'],
    });
    exchange.exchangePullToken = () => Promise.resolve({ kind: 'anonymous' });
    await expect(choose([])).resolves.toEqual({ kind: 'anonymous' });
  });
});

describe('the account of a credential', () => {
  const accountOf = async (secrets: ReadSecret[], host = 'quay.io', repository = 'a/b') => {
    const { chooser } = setup(['u1', 'u2', 'anonymous']);
    return (await chooser.choose(host, repository, secrets)) as { account?: string };
  };

  it('is that of its login at this registry, whatever the secret and the repository are', async () => {
    const { account } = await accountOf([secret('s1', 'u1')]);
    expect(account).toBe((await accountOf([secret('other', 'u1')], 'quay.io', 'c/d')).account);
    expect(account).not.toBe((await accountOf([secret('s1', 'u2')])).account);
    expect(account).not.toBe((await accountOf([secret('s1', 'u1', 'ghcr.io')], 'ghcr.io')).account);
  });

  it('is nobody where strangers get a token', async () => {
    expect(await accountOf([])).not.toHaveProperty('account');
  });

  it('stays that of a provider however often its password is renewed', async () => {
    let password = 0;
    const { chooser } = setup(['AWS'], [], {
      covers: () => true,
      logins: async () => {
        const credential = { kind: 'basic', username: 'AWS', password: `${(password += 1)}` } as const;
        return { candidates: [{ label: 'ecr', of: 'provider', credential }], mistakes: [] };
      },
    });
    const accounts = [await chooser.choose('quay.io', 'a/b', []), await chooser.choose('quay.io', 'a/b', [])];
    expect(password).toBe(2);
    expect(accounts[0]).toMatchObject({ account: (accounts[1] as { account: string }).account });
  });
});

describe('logins of providers', () => {
  /** A provider whose n-th login is called `p<n>`; it knows one until it is asked to renew. */
  function provided(allowed: string[], secrets: ReadSecret[] = []) {
    const registry = setup(allowed);
    const state = { given: 1, asked: 0 };
    const providers = {
      covers: () => true,
      logins: (_host: string, _repository: string, { renew = false }: { renew?: boolean }) => {
        state.asked += 1;
        if (renew) state.given += 1;
        const credential = { kind: 'basic', username: `p${state.given}`, password: 'x' } as const;
        const candidate = { label: 'ecr', of: 'provider', credential, expiresAtMs: NOW + 5_000 } as const;
        return Promise.resolve({ candidates: [candidate], mistakes: [] });
      },
    };
    const { exchange, clock } = registry;
    const chooser = new CredentialChooser({ exchange, now: () => clock.now, headerTtlMs: 60_000, providers });
    const choose = (options = {}) => chooser.choose('quay.io', 'a/b', secrets, options);
    return { ...registry, state, choose };
  }

  it('come after pull secrets, and are not asked for when one of those works', async () => {
    const { choose, state, asked } = provided(['u1'], [secret('s1', 'u1')]);
    await expect(choose()).resolves.toMatchObject({ token: 'for-u1' });
    expect([state.asked, asked]).toEqual([0, ['u1?']]);
  });

  it('end when the provider says so, not when the token would', async () => {
    await expect(provided(['p1']).choose()).resolves.toMatchObject({ token: 'for-p1', expiresAtMs: NOW + 5_000 });
  });

  it('are renewed once when the registry refuses them', async () => {
    const { choose, asked } = provided(['p2'], [secret('s1', 'u1')]);
    await expect(choose()).resolves.toMatchObject({ token: 'for-p2', tried: ['shop/s1'] });
    expect(asked).toEqual(['u1?', 'p1?', 'p2?']);
  });

  it('are renewed at once when a requester was refused', async () => {
    const { choose, asked } = provided(['p2']);
    await expect(choose({ renew: true })).resolves.toMatchObject({ token: 'for-p2' });
    expect(asked).toEqual(['p2']);
  });

  it('that failed are told to our own services, not to nodes', async () => {
    const { exchange } = setup([]);
    const mistake = { of: 'provider', label: 'ecr', mistake: 'failed: no role arn:aws:iam::1:role/x' } as const;
    const providers = { covers: () => true, logins: () => Promise.resolve({ candidates: [], mistakes: [mistake] }) };
    const chooser = new CredentialChooser({ exchange, now: () => NOW, headerTtlMs: 60_000, providers });
    await expect(chooser.choose('quay.io', 'a/b', [])).rejects.toMatchObject({
      code: { code: 'KUIK-CRD-502' },
      retry: true,
      message: 'provider ecr failed: no role arn:aws:iam::1:role/x (tried: anonymous)',
      anonymised: 'a credential provider failed (tried: no pull secrets, anonymous)',
    });
  });
});
