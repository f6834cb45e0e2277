import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCertificates, startFaultProxy, startUpstreamRegistry, type FaultProxy } from '@kuik/testbed';
import { createRegistryAccess, type RegistryAccessOptions } from './access.ts';
import { readBlob } from './open-blob.ts';
import { makeImage, type MadeImage } from '@kuik/testbed';
import type { EgressProxy, RepositoryClient } from './port.ts';

const SECURE = 'registry.example.org';
const PLAIN = 'plain.example.org';
const LOGIN = `Basic ${Buffer.from('corp:pw').toString('base64')}`;

/** A corporate proxy that opens tunnels to our made-up registries by their names, and counts them. */
class CorporateProxy {
  readonly asked: string[] = [];
  answer = 200;
  readonly #sockets = new Set<Socket>();
  readonly server: Server;

  constructor(server: Server, routes: () => Record<string, string>) {
    this.server = server;
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
    server.on('connect', (request, socket: Socket, head) => {
      const target = request.url ?? '';
      this.asked.push(target);
      const to = routes()[target];
      const status = request.headers['proxy-authorization'] === LOGIN ? (to === undefined ? 403 : this.answer) : 407;
      if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      const [host, port] = to!.split(':');
      const upstream = connect(Number(port), host);
      upstream.once('connect', () => {
        socket.write('HTTP/1.1 200 Connection established\r\nvia: corp\r\n\r\n');
        if (head.length > 0) upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

let upstream: Awaited<ReturnType<typeof startUpstreamRegistry>>;
let faults: FaultProxy;
let image: MadeImage;
let plainProxy: CorporateProxy;
let secureProxy: CorporateProxy;
let ca: string;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  upstream = await startUpstreamRegistry();
  faults = await startFaultProxy({
    backingUrl: upstream.url,
    tls: true,
    hosts: [SECURE, { name: PLAIN, plainHTTP: true }],
  });
  image = await makeImage({ seed: 'proxies', layers: [{ bytes: 3_000_000, encoding: 'raw' }] });
  for (const host of [SECURE, PLAIN]) await faults.push(host, 'team/app', ['v1'], image);
  const routes = () => ({
    [`${SECURE}:443`]: faults.registries()[SECURE]!.address,
    [`${PLAIN}:80`]: faults.registries()[PLAIN]!.address,
  });
  const authority = await makeCertificates();
  ca = authority.ca;
  plainProxy = new CorporateProxy(createServer().listen(0, '127.0.0.1'), routes);
  const { cert, key } = await authority.certificate('localhost');
  secureProxy = new CorporateProxy(createSecureServer({ cert, key }).listen(0, '127.0.0.1'), routes);
  for (const { server } of [plainProxy, secureProxy]) if (!server.listening) await once(server, 'listening');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((access) => access.close()));
  plainProxy.asked.length = 0;
  secureProxy.asked.length = 0;
  plainProxy.answer = 200;
});
afterAll(async () => {
  await Promise.all([plainProxy?.close(), secureProxy?.close()]);
  await faults?.close();
  await upstream?.stop();
});

/** Their names mean nothing to our own resolver: only a proxy gets there. */
function access(options: RegistryAccessOptions) {
  const registries = { [SECURE]: { ca: faults.ca! }, [PLAIN]: { plainHTTP: true } };
  const made = createRegistryAccess({ registries, ...options });
  opened.push(made);
  return made;
}
const httpProxy = (): EgressProxy => ({ url: `http://127.0.0.1:${plainProxy.port}`, authorization: LOGIN });
const httpsProxy = (): EgressProxy => ({ url: `https://localhost:${secureProxy.port}`, ca, authorization: LOGIN });
const repository = (made: ReturnType<typeof access>, host: string): RepositoryClient =>
  made.upstream(host, 'team/app', { credentials: () => Promise.resolve([]) });

const blob = async (client: RepositoryClient): Promise<Buffer> =>
  readBlob(await client.openBlob(image.blobs[1]!.digest), 10_000_000);

async function pull(client: RepositoryClient): Promise<string[]> {
  const { digest } = await client.openManifest('v1');
  return [digest, String((await blob(client)).length)];
}

describe('a registry that only a proxy reaches', () => {
  it.each([
    ['TLS inside plain HTTP', SECURE, httpProxy, () => plainProxy.asked, `${SECURE}:443`],
    ['TLS inside TLS', SECURE, httpsProxy, () => secureProxy.asked, `${SECURE}:443`],
    ['plain HTTP inside plain HTTP', PLAIN, httpProxy, () => plainProxy.asked, `${PLAIN}:80`],
    ['plain HTTP inside TLS', PLAIN, httpsProxy, () => secureProxy.asked, `${PLAIN}:80`],
  ])('%s: manifest and blob', async (_name, host, proxy, asked, target) => {
    const client = repository(access({ httpProxy: { proxy: proxy(), noProxy: [] } }), host);
    expect(await pull(client)).toEqual([image.digest, '3000000']);
    // Small requests and blobs have connections of their own.
    expect(asked()).toEqual([target, target]);
  });

  it.each([
    ['a login that it refuses', () => ({ url: httpProxy().url }), 'status 407; set httpProxy.credentialsFile'],
    ['a certificate of an unknown authority', () => ({ ...httpsProxy(), ca: undefined as never }), 'httpProxy.caFile'],
  ])('%s is told with the setting', async (_name, proxy, words) => {
    const { ca: given, ...rest } = proxy() as EgressProxy;
    const client = repository(
      access({ httpProxy: { proxy: given === undefined ? rest : { ...rest, ca: given }, noProxy: [] } }),
      SECURE,
    );
    await expect(client.openManifest('v1')).rejects.toThrow(words);
    await expect(blob(client)).rejects.not.toThrow(/corp:pw/);
  });

  it('is refused by the proxy: its status is told, by both ways', async () => {
    plainProxy.answer = 502;
    const client = repository(access({ httpProxy: { proxy: httpProxy(), noProxy: [] } }), PLAIN);
    await expect(client.openManifest('v1')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('502'),
    });
    await expect(blob(client)).rejects.toMatchObject({ code: 'refused' });
  });

  it.each(['10.0.0.1', '169.254.169.254', 'metadata.google.internal', 'redis'])(
    '%s is not asked of the proxy',
    async (host) => {
      const client = repository(access({ httpProxy: { proxy: httpProxy(), noProxy: [] } }), host);
      await expect(client.openManifest('v1')).rejects.toMatchObject({ code: 'address-refused' });
      expect(plainProxy.asked).toEqual([]);
    },
  );
});

describe('settings that change while the process runs', () => {
  it('count for the next connection; kept ones are not taken up again', async () => {
    const made = access({ httpProxy: { proxy: httpProxy(), noProxy: [] } });
    await pull(repository(made, SECURE));
    const registries = { [SECURE]: { ca: faults.ca!, httpProxy: httpsProxy() } };
    made.reconfigure({ registries });
    expect(await pull(repository(made, SECURE))).toEqual([image.digest, '3000000']);
    expect([plainProxy.asked.length, secureProxy.asked.length]).toEqual([2, 2]);
    expect(() => made.reconfigure({ addressPolicy: { refuse: ['nonsense'] } })).toThrow();
    await pull(repository(made, SECURE));
  });

  it('a certificate that is not trusted names the registry and the setting', async () => {
    const address = faults.registries()[SECURE]!.address;
    const made = access({ registries: { [SECURE]: { address } } });
    const failing = repository(made, SECURE).openManifest('v1');
    await expect(failing).rejects.toMatchObject({
      code: 'tls',
      message: expect.stringContaining(`set registries."${SECURE}".caFile to the CA`),
    });
    made.reconfigure({ registries: { [SECURE]: { address, ca: faults.ca! } } });
    expect((await repository(made, SECURE).openManifest('v1')).digest).toBe(image.digest);
  });

  it('bounds of one registry are its own', async () => {
    const entry = { ...faults.registries()[SECURE]!, timeouts: { headersMs: 150, connectMs: 150 } };
    faults.host(SECURE).on().hang();
    const started = performance.now();
    await expect(
      repository(access({ registries: { [SECURE]: entry } }), SECURE).openManifest('v1'),
    ).rejects.toMatchObject({
      code: 'timeout',
    });
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
