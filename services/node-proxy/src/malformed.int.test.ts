import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { ask, HOST, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

/** Sends bytes as they are and gives everything that comes back until the connection ends. */
function raw(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

const get = (target: string, more = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}Connection: close\r\n\r\n`;

describe('requests that nobody should send', () => {
  let world: ProxyWorld;
  let proxy: RunningProxy;
  beforeAll(async () => {
    world = await startProxyWorld();
    proxy = await world.start();
  });
  afterAll(() => world.stop());

  it.each<[string, string, number, string]>([
    ['an absolute-form target', get(`http://evil.example/v2/${HOST}/a/manifests/1`), 400, 'KUIK-PRX-400'],
    ['an upper-case name', get(`/v2/${HOST}/UPPER/manifests/1`), 400, 'KUIK-PRX-400'],
    ['a name of 4 KiB', get(`/v2/${HOST}/${'a'.repeat(4096)}/manifests/1`), 400, 'KUIK-PRX-400'],
    ['a name of 6,000 characters', get(`/v2/${HOST}/${'ab/'.repeat(2000)}c/manifests/1`), 400, 'KUIK-PRX-400'],
    ['an escaped NUL', get(`/v2/${HOST}/a%00/manifests/1`), 400, 'KUIK-PRX-400'],
    ['an escaped slash', get(`/v2/${HOST}%2Fa/manifests/1`), 400, 'KUIK-PRX-400'],
    ['traversal', get(`/v2/${HOST}/../../../etc/passwd/manifests/1`), 400, 'KUIK-PRX-400'],
    ['escaped traversal', get(`/v2/${HOST}/%2e%2e/%2e%2e/manifests/1`), 400, 'KUIK-PRX-400'],
    ['double slashes', get(`/v2//${HOST}//a/manifests/1`), 400, 'KUIK-PRX-400'],
    ['an illegal tag', get(`/v2/${HOST}/a/manifests/-x`), 400, 'KUIK-PRX-401'],
    ['a short digest', get(`/v2/${HOST}/a/manifests/sha256:abc`), 400, 'KUIK-PRX-402'],
    ['a blob that is no digest', get(`/v2/${HOST}/a/blobs/latest`), 400, 'KUIK-PRX-402'],
    ['an unknown route', get(`/v2/${HOST}/a/things/1`), 404, 'KUIK-PRX-404'],
    ['the catalogue', get('/v2/_catalog'), 404, 'KUIK-PRX-404'],
    ['a path outside', get('/etc/passwd'), 404, 'KUIK-PRX-404'],
    ['referrers of no digest', get(`/v2/${HOST}/a/referrers/latest`), 400, 'KUIK-PRX-402'],
    [
      'an upload',
      `PUT /v2/${HOST}/a/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`,
      405,
      'KUIK-PRX-405',
    ],
    [
      'an upload that waits',
      `PUT /v2/${HOST}/a/blobs/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`,
      405,
      'KUIK-PRX-405',
    ],
    [
      'an upload session',
      `POST /v2/${HOST}/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
      405,
      'KUIK-PRX-405',
    ],
    ['a removal', `DELETE /v2/${HOST}/a/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n`, 405, 'KUIK-PRX-405'],
    [
      'a patch',
      `PATCH /v2/${HOST}/a/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
      405,
      'KUIK-PRX-405',
    ],
    ['a tunnel', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'KUIK-PRX-405'],
    [
      'an upgrade',
      get('/v2/', 'Upgrade: websocket\r\n').replace('Connection: close', 'Connection: Upgrade'),
      404,
      'KUIK-PRX-404',
    ],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n', 400, 'KUIK-PRX-400'],
    [
      'two lengths',
      `GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      400,
      'KUIK-PRX-400',
    ],
    [
      'a length and chunks',
      `POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'KUIK-PRX-400',
    ],
    ['a line feed alone', `GET /v2/ HTTP/1.1\r\nHost: x\nContent-Length: 1\r\n\r\n`, 400, 'KUIK-PRX-400'],
    ['a carriage return alone', `GET /v2/ HTTP/1.1\r\nHost: x\rX-Y: z\r\n\r\n`, 400, 'KUIK-PRX-400'],
    ['a head of 100 KiB', get('/v2/', `X-Large: ${'x'.repeat(100_000)}\r\n`), 400, 'KUIK-PRX-400'],
    ['our own loopback as upstream', get('/v2/localhost__1/a/manifests/1'), 403, 'KUIK-REG-530'],
    ['an address as upstream', get('/v2/169.254.169.254/a/manifests/1'), 403, 'KUIK-REG-530'],
  ])('%s', async (_what, request, status, code) => {
    const answer = await raw(proxy.port, request);
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    const { errors } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as {
      errors: { message: string; detail: { code: string } }[];
    };
    expect([errors.length, errors[0]!.detail.code]).toEqual([1, code]);
    expect(errors[0]!.message).toContain(code);
    expect(answer.toLowerCase()).toContain('docker-distribution-api-version: registry/2.0');
    expect((await ask(`${proxy.url}/v2/`)).status).toBe(200);
  });

  it('forwards none of it', () => {
    expect(world.faults.log.total({}).requests).toBe(0);
  });

  it('answers HEAD with the headers of the error and no body', async () => {
    const answer = await ask(`${proxy.url}/v2/${HOST}/UPPER/manifests/1`, { method: 'HEAD' });
    expect([answer.status, answer.body.length]).toEqual([400, 0]);
    expect(Number(answer.headers['content-length'])).toBeGreaterThan(0);
  });

  it('survives random bytes and half requests', async () => {
    for (let seed = 1; seed <= sized({ usual: 30, full: 1_000 }); seed += 1) {
      const bytes = Buffer.from(Array.from({ length: 300 }, (_, at) => (seed * 7919 + at * 104_729 * seed) % 256));
      await raw(proxy.port, Buffer.concat([bytes, Buffer.from('\r\n\r\n')]));
    }
    const half = connect(proxy.port, '127.0.0.1', () => half.write(`GET /v2/${HOST}/a/man`));
    await new Promise((resolve) => half.once('connect', resolve));
    half.destroy();
    expect((await ask(`${proxy.url}/v2/`)).status).toBe(200);
  });
});
