import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import { ACCESS_VERDICT } from '@kuik/contracts';
import { MANIFEST_TYPES } from '@kuik/testbed';
import { ask, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

const ONE = 'one.example.test';
const TWO = 'two.example.test';
const BLOB = Buffer.from('the bytes of a blob');
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const manifestOf = (host: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(BLOB), size: BLOB.length },
      layers: [],
      annotations: { host },
    }),
  );

/** What an upstream was sent. */
interface Sent {
  readonly host: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

const sent: Sent[] = [];
/** A registry that answers with more than anybody asked for. */
function registry(host: string): Server {
  const extra = {
    'Set-Cookie': 'session=1; Path=/',
    'X-Evil': 'yes',
    'Strict-Transport-Security': 'max-age=1',
    'Access-Control-Allow-Origin': '*',
    'X-Forwarded-Host': 'evil.example',
    Connection: 'X-Hop',
    'X-Hop': 'by hop',
  };
  return createServer((request, response) => {
    sent.push({ host, url: request.url!, headers: request.headers });
    const body = request.url!.includes('/blobs/') ? BLOB : manifestOf(host);
    const type = body === BLOB ? 'application/octet-stream' : 'application/vnd.oci.image.manifest.v1+json';
    const packed = request.url!.includes('/packed/');
    response.writeHead(200, {
      ...extra,
      'Content-Type': type,
      'Docker-Content-Digest': digestOf(body),
      ...(packed ? { 'Content-Encoding': 'gzip' } : { 'Content-Length': body.length }),
    });
    response.end(request.method === 'HEAD' ? undefined : packed ? gzipSync(body) : body);
  });
}

let world: ProxyWorld;
let proxy: RunningProxy;
let servers: Server[];
let registries: Readonly<Record<string, object>>;
beforeAll(async () => {
  world = await startProxyWorld();
  servers = [registry(ONE), registry(TWO)];
  const [one, two] = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
        ),
    ),
  );
  const at = (port: number | undefined) => ({ address: `127.0.0.1:${port}`, plainHTTP: true });
  registries = { [ONE]: at(one), [TWO]: at(two), [`${TWO}-5000`]: at(one), [`${TWO}:5000`]: at(two) };
  proxy = await world.start({ settings: { registries } });
});
afterAll(async () => {
  await world.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const HOSTILE = {
  host: 'evil.example',
  cookie: 'session=stolen',
  authorization: `Basic ${Buffer.from('admin:hunter2').toString('base64')}`,
  'proxy-authorization': 'Basic eA==',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-host': 'evil.example',
  forwarded: 'for=10.0.0.1',
  'x-original-url': '/v2/_catalog',
  te: 'trailers',
  connection: 'X-Hop',
  'x-hop': 'by hop',
  'x-request-id': 'chosen by the client',
  range: 'bytes=0-3',
};

describe('what leaves for a registry, and what comes back from it', () => {
  it.each([
    ['a manifest', `/v2/${ONE}/app/manifests/1`],
    ['a blob', `/v2/${ONE}/app/blobs/${digestOf(BLOB)}`],
  ])('of the request for %s no header goes on but those that we write', async (_what, target) => {
    sent.length = 0;
    await ask(`${proxy.url}${target}`, { headers: HOSTILE });
    expect(sent.length).toBeGreaterThan(0);
    for (const { headers } of sent) {
      const names = Object.keys(headers).filter((name) => name !== 'range');
      expect(
        names.filter(
          (name) => !['host', 'accept', 'accept-encoding', 'user-agent', 'connection', 'x-request-id'].includes(name),
        ),
      ).toEqual([]);
      expect(headers.host).not.toContain('evil');
      expect(headers['x-request-id']).not.toContain('client');
      expect(JSON.stringify(headers)).not.toMatch(/stolen|hunter2|10\.0\.0\.1|hop/i);
    }
  });

  it.each([
    ['a manifest', `/v2/${ONE}/app/manifests/1`],
    ['a blob', `/v2/${ONE}/app/blobs/${digestOf(BLOB)}`],
  ])('of the answer with %s no header comes through but those that we write', async (_what, target) => {
    const { status, headers } = await ask(`${proxy.url}${target}`);
    expect(status).toBe(200);
    const ours = [
      'content-type',
      'content-length',
      'docker-content-digest',
      'docker-distribution-api-version',
      'etag',
      'x-request-id',
      'accept-ranges',
      'date',
      'connection',
      'keep-alive',
    ];
    expect(Object.keys(headers).filter((name) => !ours.includes(name))).toEqual([]);
  });

  it('a coding that nobody asked for is never passed on as the bytes of a digest', async () => {
    const { status, headers, body, complete } = await ask(`${proxy.url}/v2/${ONE}/packed/blobs/${digestOf(BLOB)}`);
    expect(headers['content-encoding']).toBeUndefined();
    if (status === 200 && complete) expect(digestOf(body)).toBe(digestOf(BLOB));
    else expect([502, 200]).toContain(status);
  });

  it('one host’s image is never another’s, whatever Host the client names', async () => {
    for (const [host, other] of [
      [ONE, TWO],
      [TWO, ONE],
    ] as const)
      for (let round = 0; round < 2; round += 1) {
        const { body } = await ask(`${proxy.url}/v2/${host}/app/manifests/1`, { headers: { host: other } });
        expect(JSON.parse(body.toString())).toMatchObject({ annotations: { host } });
      }
  });

  it('of a name with two meanings the one that may be read is asked for, and no other', async () => {
    const server = new MemoryServer();
    const broker = memoryBus(server);
    broker.respond(ACCESS_VERDICT, ({ host }) => {
      const verdict = host === `${TWO}:5000` ? 'allowed' : 'denied';
      return Promise.resolve({ verdict, reason: 'Told', public: true, until: Date.now() + 60_000 });
    });
    const strict = await world.start({
      bus: memoryBus(server),
      settings: { registries, privateImages: { mode: 'enforce' } },
    });
    sent.length = 0;
    const digest = digestOf(BLOB);
    for (const rest of ['manifests/1', `manifests/${digest}`, `blobs/${digest}`, 'tags/list', `referrers/${digest}`]) {
      const before = sent.length;
      await ask(`${strict.url}/v2/${TWO}-5000/app/${rest}`);
      expect([rest, new Set(sent.slice(before).map(({ host }) => host))]).toEqual([rest, new Set([TWO])]);
    }
    await strict.close();
    await broker.close();
  });

  it('the types that a client takes change neither what is asked for nor what is answered', async () => {
    sent.length = 0;
    const takes = [
      {},
      ...['text/html', 'application/vnd.docker.distribution.manifest.v2+json'].map((accept) => ({ accept })),
    ];
    for (const [at, headers] of takes.entries()) {
      const { body, headers: got } = await ask(`${proxy.url}/v2/${ONE}/app/manifests/taken-${at}`, { headers });
      expect([digestOf(body), got['content-type']]).toEqual([
        digestOf(manifestOf(ONE)),
        'application/vnd.oci.image.manifest.v1+json',
      ]);
    }
    const asked = sent.map(({ headers }) => headers.accept!.split(', ').sort());
    expect(asked).toEqual(asked.map(() => [...MANIFEST_TYPES].sort()));
    expect(asked.length).toBeGreaterThanOrEqual(takes.length);
  });

  it('a body that came with a GET is not the next request', async () => {
    const inner = `GET /v2/${TWO}/smuggled/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n`;
    const text = `GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\nConnection: close\r\n\r\n${inner}`;
    const answer = await new Promise<string>((resolve) => {
      const chunks: Buffer[] = [];
      const socket = connect(proxy.port, '127.0.0.1', () => socket.write(text));
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    });
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(sent.filter(({ url }) => url.includes('smuggled'))).toEqual([]);
  });
});
