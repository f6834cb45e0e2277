import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import { QuickConnections } from './quick-connections.ts';
import type { SocketAnswer } from './socket-answer.ts';
import { plain, WireClient } from './wire-client.fixture.ts';

describe('QuickConnections', () => {
  let server: Server;
  let quick: QuickConnections;
  let client: WireClient;
  const open = (): WireClient => new WireClient((server.address() as AddressInfo).port);

  /** The answer by and by that is under way, and how it ends. */
  let slow: SocketAnswer | undefined;
  let over: () => void;
  const answering = (head: Buffer, answer: () => SocketAnswer): Buffer | Promise<void> | undefined => {
    if (head.toString().startsWith('GET /quick')) return Buffer.from('quick.');
    if (!head.toString().startsWith('GET /by-and-by')) return undefined;
    slow = answer();
    slow.start(200, { 'Content-Length': '6' });
    return new Promise((resolve) => (over = resolve));
  };

  beforeEach(async () => {
    server = createServer((request, response) => response.end(`ordinary ${request.url}.`));
    quick = new QuickConnections(server, { answer: answering, idleMs: 60_000, clientIdleMs: 60_000 });
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

  describe('while an answer is given by and by', () => {
    beforeEach(async () => {
      client.send(plain('/by-and-by'));
      await until(() => slow !== undefined, { what: 'the request' });
      void slow!.write(Buffer.from('abc'));
      expect(await client.answer('abc')).toMatch(
        /^HTTP\/1\.1 200 OK\r\nContent-Length: 6\r\nDate: .*\r\nConnection: keep-alive/,
      );
    });
    afterEach(() => {
      over();
      slow = undefined;
    });

    it('keeps what the client asks meanwhile for later', async () => {
      client.send(plain('/quick'));
      client.send(plain('/quick').slice(0, 10));
      await until(() => client.socket.bytesWritten > 2 * plain('/quick').length, { what: 'the requests to be sent' });
      void slow!.write(Buffer.from('def'));
      over();
      expect(await client.answer('.')).toBe('defquick.');
    });

    it('ends the connection behind the answer when it is closed', async () => {
      server.close();
      quick.close();
      void slow!.write(Buffer.from('def'));
      expect(await client.answer('def')).toBe('def');
      expect(client.closed).toBe(false);
      over();
      await until(() => client.closed, { what: 'the connection to end' });
    });

    it('tells at once that the client has gone', async () => {
      const gone = once(slow!.signal, 'abort');
      client.socket.destroy();
      await gone;
      await expect(slow!.write(Buffer.from('def'))).rejects.toThrow('the client is gone');
    });
  });
});
