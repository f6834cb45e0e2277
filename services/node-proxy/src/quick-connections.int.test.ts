import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeImage, until } from '@kuik/testbed';
import { HOST, startProxyWorld } from './proxy-world.fixture.ts';
import { QuickConnections } from './quick-connections.ts';

/** A connection that tells what it got. */
class Client {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.closed = true));
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** What came since the last time, once it ends with `end`. */
  async answer(end: string): Promise<string> {
    await until(() => this.text.endsWith(end), { what: `an answer that ends with ${end}` });
    const { text } = this;
    this.text = '';
    return text;
  }
}

const plain = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe('QuickConnections', () => {
  let server: Server;
  let quick: QuickConnections;
  let client: Client;
  const open = (): Client => new Client((server.address() as AddressInfo).port);

  beforeEach(async () => {
    server = createServer((request, response) => response.end(`ordinary ${request.url}.`));
    quick = new QuickConnections(
      server,
      (head) => (head.toString().startsWith('GET /quick') ? Buffer.from('quick.') : undefined),
      60_000,
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    client = open();
  });
  afterEach(() => {
    client.socket.destroy();
    server.close();
    server.closeAllConnections();
    quick.close();
  });

  it('answers at once what it can, and hands the connection on with the first that it cannot', async () => {
    for (let round = 0; round < 3; round += 1) {
      client.send(plain('/quick'));
      expect(await client.answer('.')).toBe('quick.');
    }
    client.send(plain('/slow'));
    expect(await client.answer('.')).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nordinary \/slow\.$/);
    client.send(plain('/quick'));
    expect(await client.answer('.')).toMatch(/ordinary \/quick\.$/);
  });

  it('hands on a head that comes in pieces, and requests that come together', async () => {
    client.send('GET /sl');
    await until(() => client.socket.bytesWritten === 7, { what: 'the first piece to be sent' });
    client.send('ow HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await client.answer('slow.')).toMatch(/ordinary \/slow\.$/);

    const other = open();
    other.send(plain('/one') + plain('/two'));
    expect(await other.answer('two.')).toMatch(/ordinary \/one\.HTTP\/1\.1 200[\s\S]*ordinary \/two\.$/);
    other.socket.destroy();
  });

  it('ends its idle connections when it is closed, and says so on those that still ask', async () => {
    client.send(plain('/quick'));
    await client.answer('.');
    const stopped = once(server, 'close');
    server.close();
    quick.close();
    await stopped;
    await until(() => client.closed, { what: 'the connection to end' });
  });

  it('lets a client go that closes its side', async () => {
    client.send(plain('/quick'));
    await client.answer('.');
    client.socket.end();
    await until(() => client.closed, { what: 'the connection to end' });
  });
});

describe('a manifest that is in memory', () => {
  it('is answered as it is from elsewhere, head and body, and told of in the log', async () => {
    const world = await startProxyWorld();
    try {
      const image = await makeImage({ seed: 'quick', layers: [{ bytes: 100, encoding: 'raw' }] });
      await world.keep('quick', ['1'], image);
      const proxy = await world.start();
      const client = new Client(proxy.port);
      const target = `/v2/${HOST}/quick/manifests/${image.digest}`;
      const body = image.manifests.find(({ digest }) => digest === image.digest)!.bytes.toString('latin1');
      const asked = async (method: string, fields = ''): Promise<string> => {
        client.send(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
        return client.answer(method === 'HEAD' ? '\r\n\r\n' : body);
      };
      // Once to have it in memory, on a connection that stays with the ordinary way.
      const first = new Client(proxy.port);
      first.send(plain(target));
      await first.answer(body);

      const quickHead = await asked('HEAD');
      const quickBody = await asked('GET');
      const ordinaryBody = await asked('GET', 'X-Other: 1\r\n');
      const ordinaryHead = await asked('HEAD', 'X-Other: 1\r\n');
      const lines = (answer: string): string[] =>
        answer
          .slice(0, answer.indexOf('\r\n\r\n'))
          .split('\r\n')
          .map((line) => line.replace(/^(X-Request-Id|Date): .*/, '$1'))
          .sort();
      expect(lines(quickBody)).toEqual(lines(ordinaryBody));
      expect(lines(quickHead)).toEqual(lines(ordinaryHead));
      expect(quickBody.endsWith(`\r\n\r\n${body}`)).toBe(true);

      const id = /X-Request-Id: (\S+)/.exec(quickBody)![1];
      expect(proxy.lines.find(({ requestId }) => requestId === id)).toMatchObject({
        message: 'pull answered',
        method: 'GET',
        status: 200,
        origin: 'memory',
        digest: image.digest,
        bytes: body.length,
      });
      for (const { socket } of [first, client]) socket.destroy();
    } finally {
      await world.stop();
    }
  });
});
