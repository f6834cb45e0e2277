import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import { ACCESS_VERDICT } from '@kuik/contracts';
import { makeImage, until, type MadeImage } from '@kuik/testbed';
import { HOST, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';
import { plain, WireClient } from './wire-client.fixture.ts';

const MiB = 1024 * 1024;
/** More than sockets and buffers hold between a server and a client that does not read. */
const LARGE = 24 * MiB;

let world: ProxyWorld;
let proxy: RunningProxy;
let image: MadeImage;
const open: WireClient[] = [];
const connected = (port = proxy.port): WireClient => {
  const client = new WireClient(port);
  open.push(client);
  return client;
};
beforeAll(async () => {
  world = await startProxyWorld();
  image = await makeImage({
    seed: 'quick',
    layers: [100, 200_000, LARGE].map((bytes) => ({ bytes, encoding: 'raw' })),
  });
  await world.keep('quick', ['1'], image);
  proxy = await world.start();
});
afterAll(async () => {
  for (const { socket } of open) socket.destroy();
  await world.stop();
});

const digestOf = (bytes: number): string => image.blobs.find(({ size }) => size === bytes)!.digest;
const blobOf = (bytes: number): string => `/v2/${HOST}/quick/blobs/${digestOf(bytes)}`;
/** Status and fields of an answer, but for what differs each time: of an error its length, too, for it names the request. */
const lines = (answer: string): string[] => {
  const differs = /^HTTP\/1\.1 4/.test(answer) ? /^(X-Request-Id|Date|Content-Length): .*/ : /^(X-Request-Id|Date): .*/;
  const head = answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n');
  return head.map((line) => line.replace(differs, '$1')).sort();
};
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const lineOf = (answer: string) => {
  const id = /X-Request-Id: (\S+)/.exec(answer)![1];
  return proxy.lines.find(({ message, requestId }) => message === 'pull answered' && requestId === id);
};
/** The same request on a connection of its own, which ends behind the answer; `fields` that are not plain take it to node:http. */
const alone = async (target: string, fields = '', port = proxy.port): Promise<string> => {
  const client = connected(port);
  client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${fields}\r\n`);
  await until(() => client.closed, { what: 'the answer to end' });
  return client.text;
};

describe('a blob that is asked for plainly', () => {
  it.each([
    ['whole', ''],
    ['in part', 'Range: bytes=10-20000\r\n'],
    ['from its end', 'Range: bytes=-20\r\n'],
    ['beyond its end', 'Range: bytes=300000-\r\n'],
  ])('is answered as it is by node:http, %s', async (_what, fields) => {
    const quick = await alone(blobOf(200_000), fields);
    const ordinary = await alone(blobOf(200_000), `${fields}X-Other: 1\r\n`);
    expect(lines(quick)).toEqual(lines(ordinary));
    const told = ({ digest, status, origin, reason, bytes, code }: Record<string, unknown> = {}) => ({
      ...{ digest, status, origin, reason, bytes, code },
    });
    await until(() => lineOf(ordinary) !== undefined, { what: 'the log line' });
    expect(told(lineOf(quick))).toEqual(told(lineOf(ordinary)));
    if (lineOf(quick)!.code === undefined) expect(bodyOf(quick) === bodyOf(ordinary)).toBe(true);
  });

  it('is refused as by node:http when nobody has it', async () => {
    const target = `/v2/${HOST}/quick/blobs/sha256:${'0'.repeat(64)}`;
    const [quick, ordinary] = [await alone(target), await alone(target, 'X-Other: 1\r\n')];
    expect(quick).toMatch(/^HTTP\/1\.1 404 KUIK-/);
    expect(lines(quick)).toEqual(lines(ordinary));
    expect(lineOf(quick)).toMatchObject({ status: 404, code: lineOf(ordinary)!.code });
  });

  it('is refused as by node:http to whom it may not be served', async () => {
    const strict = await world.start({ settings: { privateImages: { mode: 'enforce', unknownWhenDown: 'deny' } } });
    const [quick, ordinary] = [
      await alone(blobOf(100), '', strict.port),
      await alone(blobOf(100), 'X-Other: 1\r\n', strict.port),
    ];
    expect(quick).toMatch(/^HTTP\/1\.1 4/);
    expect(lines(quick)).toEqual(lines(ordinary));
    await strict.close();
  });

  it('is followed by others on the same connection, in the order in which they were asked for', async () => {
    const client = connected();
    client.send(plain(blobOf(200_000)) + plain(blobOf(100)).slice(0, 20));
    client.send(plain(blobOf(100)).slice(20));
    const other = connected();
    other.send(plain(blobOf(100)));
    await until(() => other.text.length > 100 && bodyOf(other.text).length === 100, { what: 'the small blob' });
    const small = bodyOf(other.text);
    await client.answer(small);
    for (let round = 0; round < 3; round += 1) {
      other.text = '';
      other.send(plain(blobOf(100)));
      expect(bodyOf(await other.answer(small))).toBe(small);
    }
  });

  it('is no longer read for when its client has gone', async () => {
    const client = connected();
    client.send(plain(blobOf(LARGE)));
    await until(() => client.text.length > MiB, { what: 'some of the body' });
    client.socket.destroy();
    const line = () => proxy.lines.find(({ digest, code }) => digest === digestOf(LARGE) && code === 'client-gone');
    await until(() => line() !== undefined, { what: 'the log line' });
    expect(line()).toMatchObject({ status: 200, complete: false, origin: 'cache' });
  });

  it('is finished by a proxy that is being stopped, which then ends the connection', async () => {
    const stopping = await world.start();
    const client = connected(stopping.port);
    client.send(plain(blobOf(LARGE)));
    await until(() => client.text.length > 0, { what: 'the first byte' });
    await stopping.close();
    await until(() => client.closed, { what: 'the connection to end' });
    expect(bodyOf(client.text)).toHaveLength(LARGE);
  });
});

describe('a manifest that is in memory', () => {
  it('is answered as it is from elsewhere, head and body, and told of in the log', async () => {
    const client = connected();
    const target = `/v2/${HOST}/quick/manifests/${image.digest}`;
    const body = image.manifests.find(({ digest }) => digest === image.digest)!.bytes.toString('latin1');
    const asked = async (method: string, fields = ''): Promise<string> => {
      client.send(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
      return client.answer(method === 'HEAD' ? '\r\n\r\n' : body);
    };
    // Once to have it in memory, on a connection that stays with the ordinary way.
    const first = connected();
    first.send(plain(target));
    await first.answer(body);

    const quickHead = await asked('HEAD');
    const quickBody = await asked('GET');
    const ordinaryBody = await asked('GET', 'X-Other: 1\r\n');
    const ordinaryHead = await asked('HEAD', 'X-Other: 1\r\n');
    expect(lines(quickBody)).toEqual(lines(ordinaryBody));
    expect(lines(quickHead)).toEqual(lines(ordinaryHead));
    expect(bodyOf(quickBody)).toBe(body);
    expect(lineOf(quickBody)).toMatchObject({
      method: 'GET',
      status: 200,
      origin: 'memory',
      digest: image.digest,
      bytes: body.length,
    });
  });

  it('is refused as by node:http to whom it may not be served, though it is there', async () => {
    const server = new MemoryServer();
    const broker = memoryBus(server);
    const allowedUntil = Date.now() + 500;
    broker.respond(ACCESS_VERDICT, () => {
      const allowed = Date.now() < allowedUntil;
      const verdict = allowed ? 'allowed' : 'denied';
      return Promise.resolve({
        verdict,
        reason: 'Told',
        public: false,
        until: allowed ? allowedUntil : Date.now() + 60_000,
      });
    });
    const settings = { privateImages: { mode: 'enforce', unknownWhenDown: 'deny' } };
    const strict = await world.start({ bus: memoryBus(server), settings });
    const target = `/v2/${HOST}/quick/manifests/${image.digest}`;
    const asked = async (fields = ''): Promise<string> => {
      const client = connected(strict.port);
      client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
      await until(() => /\}\s*$/.test(client.text), { what: 'an answer' });
      return client.text;
    };
    const statuses = async (): Promise<string[]> =>
      [await asked('X-Other: 1\r\n'), await asked()].map((answer) => answer.slice(9, 12));
    expect(await statuses()).toEqual(['200', '200']);
    await until(() => Date.now() >= allowedUntil, { what: 'the verdict to be over' });
    expect(await statuses()).toEqual(['401', '401']);
    await strict.close();
    await broker.close();
  });
});
