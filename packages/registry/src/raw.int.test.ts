import { afterEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { createHash, randomBytes } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createRegistryAccess } from './access.ts';
import { readBlob } from './open-blob.ts';
import type { RepositoryClient } from './port.ts';

/** A server that answers each request head with what `answer` gives; undefined ends the connection. */
type Answer = (request: string, socket: Socket) => string | Buffer | undefined | void;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function against(
  answer: Answer,
): Promise<{ client: RepositoryClient; requests: string[]; connections: () => number }> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      while (text.includes('\r\n\r\n')) {
        const end = text.indexOf('\r\n\r\n') + 4;
        requests.push(text.slice(0, end));
        const said = answer(text.slice(0, end), socket);
        text = text.slice(end);
        if (said === undefined) continue;
        socket.write(said);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const access = createRegistryAccess({ cache: { connectMs: 1000, headersMs: 300, idleMs: 300 } });
  open.push({ close: () => (sockets.forEach((socket) => socket.destroy()), server.close()) }, access);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { client: access.cache({ url }, 'a/b'), requests, connections: () => connections };
}

const body = Buffer.from('the body');
const digest = digestOf(body);
const ok = (extra = '', bytes: Buffer | string = body) =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n${extra}\r\n${bytes.toString('latin1')}`;
const read = async (client: RepositoryClient) => (await readBlob(await client.openBlob(digest), 1000)).toString();

describe('the size of a blob, from a registry that knows no HEAD', () => {
  const [byte, none] = ['\r\n\r\nx', '\r\n\r\n'];
  it.each<[string, string, number | undefined]>([
    ['gives the first byte', `206 OK\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/8${byte}`, 8],
    ['has no first byte', `416 No\r\nContent-Length: 0${none}`, 0],
    ['tells that there are none', `416 No\r\nContent-Length: 0\r\nContent-Range: bytes */0${none}`, 0],
    ['gives no ranges, and tells the size', `416 No\r\nContent-Length: 0\r\nContent-Range: bytes */8${none}`, 8],
    ['does not have it, in a word', `404 No\r\nContent-Length: 1${byte}`, undefined],
  ])('is had over one connection when it %s', async (_what, answer, size) => {
    const { client, requests, connections } = await against((request) =>
      request.startsWith('HEAD') ? 'HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n' : `HTTP/1.1 ${answer}`,
    );
    for (let round = 0; round < 3; round += 1) expect((await client.headBlob(digest))?.size).toBe(size);
    // Blobs and small requests have connections of their own.
    expect([requests.length, connections()]).toEqual([6, 2]);
  });
});

describe('the raw path', () => {
  it('uses one connection for one request after another', async () => {
    const { client, requests, connections } = await against(() => ok());
    for (let round = 0; round < 5; round += 1) expect(await read(client)).toBe('the body');
    expect([requests.length, connections()]).toEqual([5, 1]);
    expect(requests[0]).toMatch(/^GET \/v2\/a\/b\/blobs\/sha256:[0-9a-f]{64} HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/);
  });

  it.each([64, 256, 1024])(
    'keeps every byte of one large body after another, through buffers of %d KiB',
    async (KiB) => {
      const large = randomBytes(1024 * 1024);
      const server = createHttpServer((_request, response) => {
        response.writeHead(200, { 'content-length': large.length });
        response.end(large);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const access = createRegistryAccess({
        bufferPoolBytes: 8 * large.length,
        bufferMaxBytes: KiB * 1024,
        cache: { idleMs: 500 },
      });
      open.push({ close: () => (server.closeAllConnections(), server.close()) }, access);
      const client = access.cache({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, 'a/b');
      const pull = async (): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          const hash = createHash('sha256');
          const blob = await client.openBlob(digestOf(large), { verify: false });
          await blob.deliver((chunk) => {
            hash.update(chunk);
            return round % 2 === 0 ? undefined : new Promise((resolve) => setImmediate(resolve));
          });
          expect(`sha256:${hash.digest('hex')}`).toBe(digestOf(large));
        }
      };
      await Promise.all([pull(), pull(), pull(), pull()]);
    },
  );

  it('delivers a body that came with its head although the server is gone since', async () => {
    const ended = Promise.withResolvers<void>();
    const { client, connections } = await against((_request, socket) => {
      socket.once('close', () => ended.resolve()).end(ok());
    });
    for (let round = 0; round < 2; round += 1) {
      const blob = await client.openBlob(digest);
      await ended.promise;
      expect((await readBlob(blob, 1000)).toString()).toBe('the body');
    }
    expect(connections()).toBe(2);
  });

  it('skips interim answers', async () => {
    const { client } = await against(
      () => `HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${ok()}`,
    );
    expect([await read(client), await read(client)]).toEqual(['the body', 'the body']);
  });

  it('reads a head that comes byte by byte', async () => {
    const { client } = await against((_request, socket) => {
      const text = ok();
      let at = 0;
      const more = (): void => {
        if (at < text.length && !socket.destroyed) socket.write(text[at++]!, () => setImmediate(more));
      };
      more();
    });
    expect([await read(client), await read(client)]).toEqual(['the body', 'the body']);
  });

  it('leaves a connection that the server ends, and one that says so', async () => {
    const { client, connections } = await against(() => ok('Connection: close\r\n'));
    await read(client);
    await read(client);
    expect(connections()).toBe(2);
  });

  it('replaces a kept connection that dies under the next request', async () => {
    let count = 0;
    const { client, connections } = await against((_request, socket) => {
      count += 1;
      if (count !== 2) return ok();
      socket.destroy();
    });
    await read(client);
    expect(await read(client)).toBe('the body');
    expect(connections()).toBe(2);
  });

  it('does not take bytes that nobody asked for as the next answer', async () => {
    let count = 0;
    const smuggled = `HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nevil one`;
    const { client, connections } = await against(() => (count++ === 0 ? ok() + smuggled : ok()));
    expect(await read(client)).toBe('the body');
    expect(await read(client)).toBe('the body');
    expect(connections()).toBe(2);
  });

  it.each([
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\nthe body'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\nthe body'],
    ['a folded field', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 8\r\n\r\nthe body'],
    ['another protocol', 'SSH-2.0-x\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\n${'X-Filler: 0123456789\r\n'.repeat(4000)}`],
    ['another range', 'HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-12/100\r\nContent-Length: 8\r\n\r\nthe body'],
    [
      'a range that lies about its length',
      'HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 8\r\n\r\nthe body',
    ],
  ])('refuses %s', async (_what, answer) => {
    const { client } = await against(() => answer);
    await expect(client.openBlob(digest)).rejects.toMatchObject({ code: 'invalid-response' });
  });

  it.each<[string, Answer, string]>([
    ['ends before any answer', (_: string, socket: Socket) => void socket.end(), 'refused'],
    ['ends within its head', (_: string, socket: Socket) => void socket.end('HTTP/1.1 200'), 'refused'],
    ['says nothing', () => undefined, 'timeout'],
    ['stops within its head', () => 'HTTP/1.1 200 OK\r\n', 'timeout'],
  ])('a server that %s', async (_what, answer, code) => {
    const { client } = await against(answer);
    await expect(client.openBlob(digest)).rejects.toMatchObject({ code, retry: true });
  });

  it.each<[string, Answer, string]>([
    [
      'ends',
      (_: string, socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe'),
      'truncated',
    ],
    ['stops', () => 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe', 'timeout'],
  ])('a body that %s early tells the bytes that came', async (_what, answer, code) => {
    const { client } = await against(answer);
    const blob = await client.openBlob(digest);
    await expect(blob.deliver(() => undefined)).rejects.toMatchObject({ code, bytesDelivered: 3 });
  });

  it('delivers once, and cancels once', async () => {
    const { client } = await against(() => ok());
    const blob = await client.openBlob(digest);
    await blob.deliver(() => undefined);
    await expect(blob.deliver(() => undefined)).rejects.toMatchObject({ code: 'aborted' });
    blob.cancel();
    const other = await client.openBlob(digest);
    other.cancel();
    await expect(other.deliver(() => undefined)).rejects.toMatchObject({ code: 'aborted' });
    expect(await read(client)).toBe('the body');
  });

  it("throws the sink's error and drops the connection", async () => {
    const { client, connections } = await against(() => ok());
    const broken = new Error('the client left');
    const blob = await client.openBlob(digest);
    await expect(blob.deliver(() => Promise.reject(broken))).rejects.toBe(broken);
    await read(client);
    expect(connections()).toBe(2);
  });

  it('sends one upload after another over one connection', async () => {
    const ports = new Set<number | undefined>();
    const { client } = await against((request, socket) => {
      if (request.includes('POST')) return 'HTTP/1.1 202 Accepted\r\nLocation: /session\r\nContent-Length: 0\r\n\r\n';
      ports.add(socket.remotePort);
      return 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n';
    });
    for (let round = 0; round < 3; round += 1) {
      const session = await client.startUpload();
      if (session.mounted) throw new Error('mounted what nobody asked for');
      await session.upload.putWhole(async (sink) => sink(body), body.length, digest);
    }
    expect(ports.size).toBe(1);
  });

  it('gives every byte once under any pace of reader and writer', async () => {
    const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => (at * 31 + (at >> 10)) & 255));
    const { client } = await against((_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
      let at = 0;
      const more = (): void => {
        if (at >= large.length || socket.destroyed) return;
        const size = 1 + ((at * 7919) % 200_000);
        const wrote = socket.write(large.subarray(at, at + size));
        at += size;
        if (wrote) setImmediate(more);
        else socket.once('drain', more);
      };
      more();
    });
    for (const slow of [1, 3, 0]) {
      const parts: Buffer[] = [];
      const blob = await client.openBlob(digestOf(large));
      await blob.deliver((chunk) => {
        parts.push(Buffer.from(chunk));
        if (slow === 0 || parts.length % slow !== 0) return undefined;
        return new Promise((resolve) => setImmediate(resolve));
      });
      expect(Buffer.concat(parts).equals(large)).toBe(true);
    }
  });
});

describe('small requests', () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: 8\r\nDocker-Content-Digest: ${digest}\r\n\r\n`;

  it('keep their connection, after a HEAD too', async () => {
    const { client, requests, connections } = await against(() => head);
    for (let round = 0; round < 6; round += 1)
      expect(await client.headManifest('1')).toMatchObject({ digest, size: 8 });
    expect(requests).toHaveLength(6);
    // A second one is opened when a request comes in the very turn in which the one before ended.
    expect(connections()).toBeLessThanOrEqual(2);
  });

  it('do not take a body that came with the answer to a HEAD for the next answer', async () => {
    const evil = head.replace(digest, digestOf(Buffer.from('evil')));
    const { client } = await against((request) => (request.startsWith('HEAD') ? `${head}${evil}` : head));
    for (let round = 0; round < 3; round += 1) expect(await client.headManifest('1')).toMatchObject({ digest });
  });
});
