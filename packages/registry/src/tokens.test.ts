import { describe, expect, it } from '@jest/globals';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
import { TokenServers } from './token-servers.ts';
import { parseTokenAnswer, TokenCache, type TokenSource } from './tokens.ts';

const REALM = new URL('https://auth.example.test/token?tenant=1');
const request = { realm: REALM, service: 'r', scopes: ['repository:a/b:pull'] };

/** A token server: counts what it is asked, and answers `t1`, `t2`.. */
function tokenServer(answer: { status?: number; expiresIn?: number; retryAfter?: string } = {}) {
  const asked: HttpRequest[] = [];
  const http = {
    request: async (wanted: HttpRequest): Promise<HttpResponse> => {
      asked.push(wanted);
      const body = Buffer.from(JSON.stringify({ token: `t${asked.length}`, expires_in: answer.expiresIn }));
      await new Promise((resolve) => setImmediate(resolve));
      return {
        url: wanted.url,
        status: answer.status ?? 200,
        header: (name) => (name === 'retry-after' ? answer.retryAfter : undefined),
        headers: () => [],
        read: () => Promise.resolve(body),
        chunks: () => [] as never,
        discard: () => undefined,
      };
    },
  } as unknown as HttpClient;
  let nowMs = 1_000_000;
  const now = () => nowMs;
  return { asked, cache: new TokenCache(new TokenServers(http, now), now), pass: (ms: number) => (nowMs += ms) };
}

describe('TokenCache', () => {
  it('asks with service, scope and credential, once, however many want it', async () => {
    const { asked, cache } = tokenServer({ expiresIn: 300 });
    const secret = { kind: 'basic', username: 'alice', password: 'pa:ss' } as const;
    const tokens = await Promise.all(Array.from({ length: 20 }, () => cache.get({ ...request, secret })));
    expect(new Set(tokens.map(({ value }) => value))).toEqual(new Set(['t1']));
    expect(asked).toHaveLength(1);
    expect(asked[0]!.url.href).toBe(
      'https://auth.example.test/token?tenant=1&service=r&scope=repository%3Aa%2Fb%3Apull&account=alice',
    );
    expect(asked[0]!.headers['authorization']).toBe(`Basic ${Buffer.from('alice:pa:ss').toString('base64')}`);
    expect(await cache.get({ ...request, secret })).toEqual({ value: 't1', cached: true });
  });

  it('hurries a question for which no pull waited when one comes to share it', async () => {
    const asked: AbortSignal[] = [];
    let answer = (): void => undefined;
    const source: TokenSource = {
      ask: (_request, { background }) => {
        asked.push(background);
        return new Promise((resolve) => (answer = () => resolve({ token: 't', lifetimeS: 60 })));
      },
    };
    const cache = new TokenCache(source, () => 0);
    const background = (): boolean[] => asked.map(({ aborted }) => !aborted);
    const copies = [1, 2].map(() => cache.get(request, { background: true }));
    expect(background()).toEqual([true]);
    const pull = cache.get(request);
    expect(background()).toEqual([false]);
    const late = cache.get(request, { background: true });
    expect(background()).toEqual([false]);
    answer();
    const tokens = await Promise.all([...copies, pull, late]);
    expect(tokens.map(({ value }) => value)).toEqual(['t', 't', 't', 't']);
  });

  it('keeps tokens apart by everything that they depend on', async () => {
    const { asked, cache } = tokenServer();
    const secret = { kind: 'basic', username: 'alice', password: 'one' } as const;
    await cache.get(request);
    await cache.get({ ...request, secret });
    await cache.get({ ...request, secret: { ...secret, password: 'two' } });
    await cache.get({ ...request, secret: { kind: 'identity', token: 'one' } });
    await cache.get({ ...request, service: undefined });
    await cache.get({ ...request, scopes: ['repository:a/c:pull'] });
    await cache.get({ ...request, realm: new URL('https://auth.example.test/other') });
    expect(asked).toHaveLength(7);
  });

  it('spends a refresh token by the OAuth2 grant, in a body and nowhere else', async () => {
    const { asked, cache } = tokenServer({ expiresIn: 300 });
    await cache.get({ ...request, secret: { kind: 'identity', token: 're+fresh' } });
    expect(asked[0]).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(asked[0]!.url.href).toBe(REALM.href);
    expect(asked[0]!.headers).not.toHaveProperty('authorization');
    expect(Object.fromEntries(new URLSearchParams(String(asked[0]!.body)))).toEqual({
      grant_type: 'refresh_token',
      client_id: 'kube-image-keeper',
      service: 'r',
      scope: 'repository:a/b:pull',
      refresh_token: 're+fresh',
    });
  });

  it.each([
    [400, 'unauthorized'],
    [401, 'unauthorized'],
    [404, 'unauthorized'],
    [503, 'server-error'],
  ])('status %i to a refresh token is %s', async (status, code) => {
    const { cache } = tokenServer({ status });
    const failing = cache.get({ ...request, secret: { kind: 'identity', token: 'hunter2' } });
    await expect(failing).rejects.toMatchObject({ code });
    await expect(failing).rejects.not.toThrow(/hunter2/);
  });

  it.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    // Of the token, not of the image: what is upstream is not known then.
    [404, 'server-error'],
    [410, 'server-error'],
    [503, 'server-error'],
  ])('status %i to who asks for a token is %s', async (status, code) => {
    const { cache } = tokenServer({ status });
    await expect(cache.get(request)).rejects.toMatchObject({ code, status });
  });

  it.each([
    [300, 269_000, 271_000],
    [undefined, 53_000, 55_000],
    [0, 53_000, 55_000],
  ])('expires_in %s: kept for nine tenths of it', async (expiresIn, still, over) => {
    const { asked, cache, pass } = tokenServer(expiresIn === undefined ? {} : { expiresIn });
    await cache.get(request);
    pass(still);
    await cache.get(request);
    expect(asked).toHaveLength(1);
    pass(over - still);
    await cache.get(request);
    expect(asked).toHaveLength(2);
  });

  it('fetches a refused token anew once, not once per asker', async () => {
    const { asked, cache } = tokenServer({ expiresIn: 300 });
    const first = await cache.get(request);
    const again = await Promise.all([1, 2, 3].map(() => cache.get(request, { refused: first.value })));
    expect(again.map(({ value }) => value)).toEqual(['t2', 't2', 't2']);
    expect(asked).toHaveLength(2);
    // Late news about the old token does not hurt the new one.
    expect(await cache.get(request, { refused: first.value })).toEqual({ value: 't2', cached: true });
  });

  it.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [429, 'rate-limited'],
    [503, 'server-error'],
  ])('status %i is %s, without the credential in the message', async (status, code) => {
    const { cache } = tokenServer({ status, retryAfter: '7' });
    const failing = cache.get({ ...request, secret: { kind: 'basic', username: 'alice', password: 'hunter2' } });
    await expect(failing).rejects.toMatchObject({ code, status, retryAfterMs: 7000 });
    await expect(failing).rejects.not.toThrow(/hunter2|alice/);
  });

  it('leaves the request running for others when one asker gives up', async () => {
    const { asked, cache } = tokenServer({ expiresIn: 300 });
    const gone = new AbortController();
    const one = cache.get(request, { signal: gone.signal });
    const two = cache.get(request);
    gone.abort();
    await expect(one).rejects.toMatchObject({ code: 'aborted' });
    expect((await two).value).toBe('t1');
    expect(asked).toHaveLength(1);
  });
});

describe('parseTokenAnswer', () => {
  it('quotes nothing of an answer that is not JSON', () => {
    const read = () => parseTokenAnswer(Buffer.from('token=hunter2'), 'token from x');
    expect(read).toThrow('token from x: the answer is not JSON');
    expect(read).toThrow(expect.not.objectContaining({ cause: expect.anything() as unknown }));
  });

  it.each([
    ['{"token":"a","access_token":"b","expires_in":10}', { token: 'a', lifetimeS: 10 }],
    ['{"access_token":"b"}', { token: 'b', lifetimeS: 60 }],
    ['{"token":"","access_token":"b","expires_in":"30"}', { token: 'b', lifetimeS: 30 }],
    ['{"token":"a","expires_in":-5}', { token: 'a', lifetimeS: 60 }],
    ['{"token":"a","expires_in":"soon"}', { token: 'a', lifetimeS: 60 }],
  ])('%s', (body, expected) => {
    expect(parseTokenAnswer(Buffer.from(body), 'token')).toEqual(expected);
  });

  it.each(['', 'not json', 'null', '{}', '{"token":5}', '{"token":"a\\r\\nX: y"}', '{"token":"a b"}'])(
    'refuses %s',
    (body) => {
      expect(() => parseTokenAnswer(Buffer.from(body), 'token')).toThrow(
        expect.objectContaining({ code: 'invalid-response' }),
      );
    },
  );
});
