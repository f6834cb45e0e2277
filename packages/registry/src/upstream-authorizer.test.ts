import { describe, expect, it } from '@jest/globals';
import { RegistryError } from './errors.ts';
import { AuthMemory, UpstreamAuthorizer } from './upstream-authorizer.ts';
import type { Credential } from './port.ts';
import type { TokenCache, TokenRequest } from './tokens.ts';

const BEARER = ['Bearer realm="https://auth.example.test/token",service="r"'];
const basic = (username: string): Credential => ({ kind: 'basic', username, password: 'pw' });
const need = { actions: ['pull'] } as const;

/** An authorizer over a token server that knows `users` (and nobody, when `anonymous`). */
function world(credentials: Credential[], options: { users?: string[]; anonymous?: boolean; cached?: boolean } = {}) {
  const asked: TokenRequest[] = [];
  const refusals: (string | undefined)[] = [];
  const tokens = {
    get: (request: TokenRequest, { refused }: { refused?: string } = {}) => {
      asked.push(request);
      refusals.push(refused);
      const user = request.secret?.kind === 'identity' ? request.secret.token : request.secret?.username;
      const known = user === undefined ? options.anonymous === true : (options.users ?? []).includes(user);
      if (!known) return Promise.reject(new RegistryError('unauthorized', 'refused', { status: 401 }));
      return Promise.resolve({
        value: `${user ?? 'anonymous'}${refused === undefined ? '' : '-again'}`,
        cached: options.cached ?? false,
      });
    },
  } as unknown as TokenCache;
  const memory = new AuthMemory(tokens, () => 1_000);
  const site = { base: new URL('https://registry.example.test/'), endpoint: {} };
  const source = { credentials: () => Promise.resolve(credentials) };
  const authorizer = () => new UpstreamAuthorizer(site, 'registry.example.test', 'team/app', source, memory);
  return { auth: authorizer(), authorizer, asked, refusals, memory };
}

describe('UpstreamAuthorizer', () => {
  it('sends nothing before the registry has asked', async () => {
    const { auth, asked } = world([basic('alice')], { users: ['alice'] });
    expect((await auth.first(need)).header).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('answers a Bearer challenge with a token for exactly this repository and action', async () => {
    const { auth, asked } = world([basic('alice')], { users: ['alice'] });
    const probe = await auth.first(need);
    const next = await auth.next(probe, { status: 401, challenges: BEARER });
    expect(next?.header).toBe('Bearer alice');
    expect(asked[0]).toMatchObject({
      service: 'r',
      scopes: ['repository:team/app:pull'],
      secret: { username: 'alice' },
    });
    expect(asked[0]!.realm.href).toBe('https://auth.example.test/token');
  });

  it('spends a refresh token where a name and password would go, and nowhere else', async () => {
    const { auth } = world([{ kind: 'identity', token: 'refresh' }], { users: ['refresh'] });
    expect((await auth.next(await auth.first(need), { status: 401, challenges: BEARER }))?.header).toBe(
      'Bearer refresh',
    );
    const foreign = world([{ kind: 'identity', token: 'refresh' }], { users: ['refresh'] });
    const challenges = ['Bearer realm="https://evil.test/token",service="r"'];
    const failing = foreign.auth.next(await foreign.auth.first(need), { status: 401, challenges });
    await expect(failing).rejects.toMatchObject({ code: 'untrusted-host' });
    expect(foreign.asked.filter(({ secret }) => secret !== undefined)).toEqual([]);
  });

  it('remembers the challenge for the next repository', async () => {
    const { authorizer } = world([], { anonymous: true });
    await authorizer().next(await authorizer().first(need), { status: 401, challenges: BEARER });
    expect((await authorizer().first(need)).header).toBe('Bearer anonymous');
  });

  it.each([
    [404, undefined],
    [410, undefined],
    [503, 'server-error'],
    [undefined, 'server-error'],
  ])(
    'asks a registry anew whose token server answers %s, where that says that it is there no more',
    async (status, code) => {
      const { authorizer, memory } = world([basic('alice')], { users: ['alice'] });
      await authorizer().next(await authorizer().first(need), { status: 401, challenges: BEARER });
      memory.tokens.get = () =>
        Promise.reject(new RegistryError('server-error', 'no token', status === undefined ? {} : { status }));
      const first = authorizer().first(need);
      if (code === undefined) expect((await first).header).toBeUndefined();
      else await expect(first).rejects.toMatchObject({ code });
    },
  );

  it('answers a Basic challenge with the pair', async () => {
    const { auth } = world([basic('alice')]);
    const next = await auth.next(await auth.first(need), { status: 401, challenges: ['Basic realm="x"'] });
    expect(next?.header).toBe(`Basic ${Buffer.from('alice:pw').toString('base64')}`);
  });

  it('goes from the most specific credential to anonymous, and starts with what worked', async () => {
    const { auth, authorizer } = world([basic('wrong'), basic('alice')], { users: ['alice'], anonymous: true });
    const next = await auth.next(await auth.first(need), { status: 401, challenges: BEARER });
    expect(next?.header).toBe('Bearer alice');
    auth.accepted(next!);
    expect((await authorizer().first(need)).header).toBe('Bearer alice');
    const last = await auth.next(next!, { status: 403, challenges: [] });
    expect(last?.header).toBe('Bearer anonymous');
    expect(await auth.next(last!, { status: 401, challenges: BEARER })).toBeUndefined();
  });

  it('fetches a cached token anew once when the registry refuses it', async () => {
    const { auth, refusals } = world([basic('alice')], { users: ['alice'], cached: true });
    const first = await auth.next(await auth.first(need), { status: 401, challenges: BEARER });
    const second = await auth.next(first!, { status: 401, challenges: BEARER });
    expect(second?.header).toBe('Bearer alice-again');
    expect(refusals.at(-1)).toBe('alice');
  });

  it('sends what the broker gave unasked, until it expires', async () => {
    const broker: Credential[] = [
      { kind: 'bearer', token: 'old', expiresAtMs: 999 },
      { kind: 'bearer', token: 'fresh', expiresAtMs: 2_000 },
      { kind: 'header', value: 'Basic abc' },
    ];
    const { auth } = world(broker);
    const first = await auth.first(need);
    expect(first.header).toBe('Bearer fresh');
    const second = await auth.next(first, { status: 401, challenges: BEARER });
    expect(second?.header).toBe('Basic abc');
  });

  it('says how many credentials were refused, and none of them', async () => {
    const { auth } = world([basic('alice'), basic('bob')]);
    const failing = auth.next(await auth.first(need), { status: 401, challenges: BEARER });
    await expect(failing).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('2 given, and anonymous'),
    });
    await expect(failing).rejects.not.toThrow(/alice|bob|pw/);
  });

  it('never sends a credential to a realm of another trust', async () => {
    const { auth, asked } = world([basic('alice')], { users: ['alice'] });
    const challenges = ['Bearer realm="https://evil.test/token",service="r"'];
    const failing = auth.next(await auth.first(need), { status: 401, challenges });
    await expect(failing).rejects.toMatchObject({
      code: 'untrusted-host',
      message: expect.stringContaining('evil.test'),
    });
    expect(asked.filter((request) => request.secret !== undefined)).toEqual([]);
  });

  it('still asks a foreign realm for an anonymous token, over TLS only', async () => {
    const open = world([], { anonymous: true });
    const next = await open.auth.next(await open.auth.first(need), {
      status: 401,
      challenges: ['Bearer realm="https://elsewhere.test/t"'],
    });
    expect(next?.header).toBe('Bearer anonymous');
    const plain = world([], { anonymous: true });
    const failing = plain.auth.next(await plain.auth.first(need), {
      status: 401,
      challenges: ['Bearer realm="http://elsewhere.test/t"'],
    });
    await expect(failing).rejects.toMatchObject({ code: 'untrusted-host' });
  });

  it.each([
    ['repository:team/app:pull', ['repository:team/app:pull']],
    ['repository:local/team/app:pull', ['repository:team/app:pull', 'repository:local/team/app:pull']],
    ['repository:secrets/vault:pull', ['repository:team/app:pull']],
    ['registry:catalog:*', ['repository:team/app:pull']],
  ])('a registry that asks for %s is answered with %j', async (scope, scopes) => {
    const { auth, asked } = world([basic('alice')], { users: ['alice'] });
    await auth.next(await auth.first(need), { status: 401, challenges: [`${BEARER[0]},scope="${scope}"`] });
    expect(asked[0]!.scopes).toEqual(scopes);
  });

  it('asks for both repositories of a mount at once', async () => {
    const { auth, asked } = world([basic('alice')], { users: ['alice'] });
    const probe = await auth.first({ actions: ['pull', 'push'], mountFrom: 'team/base' });
    await auth.next(probe, { status: 401, challenges: BEARER });
    expect(asked[0]!.scopes).toEqual(['repository:team/app:pull,push', 'repository:team/base:pull']);
  });

  it('says whose account stands behind a header that came ready-made, and nobody behind the stranger who comes next', async () => {
    const { auth } = world([{ kind: 'header', value: 'Basic x', account: 'alice' }]);
    const first = await auth.first(need);
    expect(first).toMatchObject({ header: 'Basic x', account: 'alice', anonymous: false });
    const next = await auth.next(first, { status: 401, challenges: [] });
    expect(next).toMatchObject({ anonymous: true });
    expect(next).not.toHaveProperty('account');
  });

  it('lets a token server that is down be a reason to try later, not the next credential', async () => {
    const { auth, memory } = world([basic('alice')]);
    (memory.tokens as { get: unknown }).get = () =>
      Promise.reject(new RegistryError('server-error', 'down', { status: 503 }));
    const failing = auth.next(await auth.first(need), { status: 401, challenges: BEARER });
    await expect(failing).rejects.toMatchObject({ code: 'server-error', retry: true });
  });
});
