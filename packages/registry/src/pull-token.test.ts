import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createRegistryAccess } from './access.ts';
import type { Credential } from './port.ts';
import { NO_CREDENTIALS } from './upstream-authorizer.ts';

const HOST = 'registry.example.test';
const ROBOT: Credential = { kind: 'basic', username: 'robot', password: 'hunter2' };
const BASIC = `Basic ${Buffer.from('robot:hunter2').toString('base64')}`;
const closing: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

type Handler = (
  path: string,
  authorization: string | undefined,
  url: URL,
) => { status: number; headers?: Record<string, string>; body?: unknown };

/** A registry on plain HTTP that answers as the handler says; what it was asked, secrets as `+`. */
async function registry(handler: Handler) {
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? '/', `http://${HOST}`);
    const { authorization } = request.headers;
    const head = request.method === 'HEAD' ? 'HEAD ' : '';
    asked.push(`${head}${url.pathname}${authorization === undefined ? '' : ' +'}`);
    const { status, headers = {}, body = {} } = handler(url.pathname, authorization, url);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
  const server: Server = createServer(onRequest).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const access = createRegistryAccess({
    registries: { [HOST]: { address: `127.0.0.1:${port}`, plainHTTP: true } },
    now: () => clock.now,
  });
  closing.push(
    () => access.close(),
    () => new Promise((resolve) => server.close(resolve)),
  );
  const exchangeFor = access.exchangePullToken.bind(access, HOST);
  return { access, asked, clock, exchangeFor, exchange: exchangeFor.bind(undefined, 'team/app') };
}

const bearer = (realm = `http://${HOST}/token`) => ({ 'www-authenticate': `Bearer realm="${realm}",service="reg"` });

describe('exchangePullToken', () => {
  it('has nothing to give where nothing is asked', async () => {
    const { asked, exchange } = await registry(() => ({ status: 200 }));
    expect(await exchange(ROBOT)).toEqual({ kind: 'anonymous' });
    expect(asked).toEqual(['/v2/', '/v2/team/app/tags/list']);
  });

  it.each([
    ['is open', 200, ['/v2/']],
    ['asks for a token', 401, ['/v2/', '/token', '/token']],
  ])('asks a registry whose front %s once a minute about it, not once per repository', async (_how, status, paths) => {
    const { asked, exchangeFor, clock } = await registry((path) =>
      path === '/token' ? { status: 200, body: { token: 't' } } : { status, headers: bearer() },
    );
    await exchangeFor('team/app', { kind: 'anonymous' });
    await exchangeFor('team/other', { kind: 'anonymous' });
    expect(asked).toEqual(paths);
    clock.now += 60_000;
    await exchangeFor('team/third', { kind: 'anonymous' });
    expect(asked.slice(paths.length)[0]).toBe('/v2/');
  });

  it('looks again at a registry that refuses what it asked for a moment ago', async () => {
    let basic = false;
    const { asked, exchange } = await registry((path, authorization) => {
      if (path === '/token') return basic ? { status: 404 } : { status: 200, body: { token: 't' } };
      if (!basic) return { status: 401, headers: bearer() };
      return authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': 'Basic realm="reg"' } }
        : { status: 200 };
    });
    const credential = { kind: 'basic', username: 'u', password: 'p' } as const;
    expect(await exchange(credential)).toMatchObject({ kind: 'bearer' });
    basic = true;
    asked.length = 0;
    expect(await exchange(credential)).toMatchObject({ kind: 'header' });
    expect(asked.map((line) => line.split(' ')[0])).toEqual(['/token', '/v2/', '/v2/']);
  });

  it('asks the token server for pull of one repository', async () => {
    const { exchange, asked } = await registry((path, authorization, url) => {
      if (path !== '/token') return { status: 401, headers: bearer() };
      expect(url.searchParams.getAll('scope')).toEqual(['repository:team/app:pull']);
      expect(url.searchParams.get('service')).toBe('reg');
      expect(authorization).toBe(BASIC);
      return { status: 200, body: { token: 't1', expires_in: 300 } };
    });
    expect(await exchange(ROBOT)).toEqual({ kind: 'bearer', token: 't1', expiresAtMs: 1_300_000 });
    expect(asked).toEqual(['/v2/', '/token +']);
  });

  it('gets an anonymous token without naming anybody', async () => {
    const { exchange } = await registry((path, authorization, url) =>
      path === '/token'
        ? {
            status: authorization === undefined && !url.searchParams.has('account') ? 200 : 401,
            body: { access_token: 't2' },
          }
        : { status: 401, headers: bearer() },
    );
    expect(await exchange({ kind: 'anonymous' })).toEqual({ kind: 'bearer', token: 't2', expiresAtMs: 1_060_000 });
  });

  it('finds the challenge of a registry whose front is open', async () => {
    const { exchange } = await registry((path) => {
      if (path === '/v2/') return { status: 200 };
      return path === '/token' ? { status: 200, body: { token: 't3' } } : { status: 401, headers: bearer() };
    });
    expect(await exchange(ROBOT)).toMatchObject({ kind: 'bearer', token: 't3' });
  });

  it('gives the header of a Basic-only registry, when it works', async () => {
    const { exchange } = await registry((_path, authorization) =>
      authorization === BASIC ? { status: 200 } : { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } },
    );
    expect(await exchange(ROBOT)).toEqual({ kind: 'header', value: BASIC });
    await expect(exchange({ ...ROBOT, password: 'wrong' })).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(exchange({ kind: 'anonymous' })).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('verifies a token on the repository only when told to', async () => {
    const { exchange } = await registry((path, authorization) => {
      if (path === '/token') return { status: 200, body: { token: 'hollow' } };
      return authorization === undefined ? { status: 401, headers: bearer() } : { status: 403 };
    });
    expect(await exchange(ROBOT)).toMatchObject({ token: 'hollow' });
    await expect(exchange(ROBOT, { verify: true })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('verifies it on an image where one is named: the right to pull is none to list tags', async () => {
    const { asked, exchange } = await registry((path, authorization) => {
      if (path === '/token') return { status: 200, body: { token: 'pulls' } };
      if (authorization === undefined) return { status: 401, headers: bearer() };
      return { status: path === '/v2/team/app/manifests/1' ? 200 : 403 };
    });
    await expect(exchange(ROBOT, { verify: true })).rejects.toMatchObject({ code: 'forbidden' });
    asked.splice(0);
    expect(await exchange(ROBOT, { verify: true, reference: '1' })).toMatchObject({ token: 'pulls' });
    expect(asked).toEqual(['/token +', 'HEAD /v2/team/app/manifests/1 +']);
  });

  it.each([
    ['neither image nor tags are shown', 404, 404, 'not-found'],
    ['the image is not there, its repository is', 404, 200, undefined],
    ['the image is refused', 403, 200, 'forbidden'],
    ['there is nobody who knows HEAD', 405, 200, undefined],
    ['HEAD is not implemented', 501, 200, undefined],
    ['the registry limits us', 429, 429, 'rate-limited'],
    ['the registry fails', 503, 200, 'server-error'],
    ['its list of tags fails', 404, 502, 'server-error'],
  ])('tells when %s', async (_what, image, tags, code) => {
    const basic = { 'www-authenticate': 'Basic realm="r"' };
    const { exchange, asked } = await registry((path, authorization) => {
      if (authorization !== BASIC) return { status: 401, headers: basic };
      return { status: path === '/v2/team/app/manifests/1' ? image : path === '/v2/' ? 200 : tags };
    });
    const exchanged = exchange(ROBOT, { verify: true, reference: '1' });
    if (code === undefined) await expect(exchanged).resolves.toEqual({ kind: 'header', value: BASIC });
    else await expect(exchanged).rejects.toMatchObject({ code });
    if (image === 429) expect(asked.filter((line) => line.includes('/team/'))).toHaveLength(1);
    expect(await exchange(ROBOT)).toEqual({ kind: 'header', value: BASIC });
  });

  it.each([
    ['a wrong password', 401, 'unauthorized', false],
    ['a token server that is down', 503, 'server-error', true],
    ['a limit', 429, 'rate-limited', true],
  ])('tells %s apart', async (_name, status, code, retry) => {
    const { exchange } = await registry((path) =>
      path === '/token' ? { status, headers: { 'retry-after': '7' } } : { status: 401, headers: bearer() },
    );
    const error = await exchange(ROBOT).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code, retry, retryAfterMs: 7000 });
    expect((error as Error).message).not.toContain('hunter2');
  });

  it('asks a token server that limits us for pulls alone until its time is over, as every client of the process does', async () => {
    let limited = true;
    const { access, asked, clock, exchangeFor } = await registry((path) => {
      if (path !== '/token') return { status: 401, headers: bearer() };
      return limited ? { status: 429, headers: { 'retry-after': '90' } } : { status: 200, body: { token: 't' } };
    });
    const background = new AbortController().signal;
    const limit = { code: 'rate-limited', status: 429 };
    await expect(exchangeFor('team/app', ROBOT, { background })).rejects.toMatchObject(limit);
    const copy = access.upstream(HOST, 'team/copied', NO_CREDENTIALS, { background: true });
    await expect(copy.headManifest('1')).rejects.toMatchObject({ ...limit, retryAfterMs: 90_000 });
    clock.now += 30_000;
    await expect(exchangeFor('team/other', ROBOT, { background })).rejects.toMatchObject({ retryAfterMs: 60_000 });
    const requests = ['/v2/', '/token +', 'HEAD /v2/team/copied/manifests/1'];
    expect(asked).toEqual(requests);
    limited = false;
    await exchangeFor('team/app', ROBOT);
    clock.now += 60_000;
    await exchangeFor('team/other', ROBOT, { background });
    expect(asked.slice(requests.length)).toEqual(['/token +', '/v2/', '/token +']);
  });

  it.each([
    ['another domain', 'https://evil.test/token'],
    ['a lookalike', `https://${HOST}.evil.test/token`],
    ['no URL', 'nonsense'],
  ])('sends no password to %s', async (_name, realm) => {
    const { asked, exchange } = await registry(() => ({ status: 401, headers: bearer(realm) }));
    await expect(exchange(ROBOT)).rejects.toMatchObject({
      code: realm === 'nonsense' ? 'invalid-response' : 'untrusted-host',
    });
    expect(asked).toEqual(['/v2/']);
  });

  it('hands on what is finished already', async () => {
    const { asked, exchange } = await registry(() => ({ status: 500 }));
    expect(await exchange({ kind: 'header', value: 'x' })).toEqual({ kind: 'header', value: 'x' });
    expect(asked).toEqual([]);
  });
});
