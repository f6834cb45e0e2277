import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';
import { startNobody } from './failures/nobody-listens.fixture.ts';
import { processesOver } from './owner-processes.ts';

/** Of a copier that said nothing over NATS. */
const asking = (answerMs: number) => processesOver({ answerMs, saidMs: 60_000, sinceSaidMs: () => undefined });

async function copier(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

describe('the process at an address', () => {
  it('is asked once by all who want to know at the same time, and again later', async () => {
    let asked = 0;
    const { origin, close } = await copier((_request, response) =>
      response.writeHead(200, { [TRANSFER_INSTANCE_HEADER]: `process-${(asked += 1)}` }).end(),
    );
    const processAt = asking(60_000);
    expect(await Promise.all([processAt(origin), processAt(origin)])).toEqual(['process-1', 'process-1']);
    expect(await processAt(origin)).toBe('process-2');
    await close();
    expect(await processAt(origin)).toBeUndefined();
  });

  it.each<[string, RequestListener]>([
    ['says nothing', () => undefined],
    ['is not there', (_request, response) => response.writeHead(503).end()],
    ['sends elsewhere', (_request, response) => response.writeHead(307, { location: '/v2/other' }).end()],
  ])('is none that %s', async (_what, answer) => {
    const { origin, close } = await copier(answer);
    expect(await asking(500)(origin)).toBeUndefined();
    await close();
  });

  it('is known by its head alone: whatever may follow holds no connection', async () => {
    let left: Promise<unknown> | undefined;
    const { origin, close } = await copier((request, response) => {
      left = once(request.socket, 'close', { signal: AbortSignal.timeout(2_000) }).catch(() => ['never']);
      response.writeHead(200, { [TRANSFER_INSTANCE_HEADER]: 'endless', 'content-length': '1000' }).flushHeaders();
    });
    expect(await asking(60_000)(origin)).toBe('endless');
    const how = await left;
    await close();
    expect(how).not.toEqual(['never']);
  });

  it('is waited for when it is too busy to answer in time, and said a moment ago that it is there', async () => {
    let answer = (): void => undefined;
    const { origin, close } = await copier((_request, response) => {
      answer = () => void response.writeHead(200, { [TRANSFER_INSTANCE_HEADER]: 'busy' }).end();
    });
    let looks = 0;
    const sinceSaidMs = (): number => {
      if ((looks += 1) === 2) answer();
      return 1_999;
    };
    expect(await processesOver({ answerMs: 250, saidMs: 2_000, sinceSaidMs })(origin)).toBe('busy');
    await close();
  });

  it.each([
    ['said so too long ago', 2_000, 1],
    ['never answers, whatever it says', 0, 2],
  ])('is none that %s', async (_what, sinceMs, looks) => {
    const { origin, close } = await copier(() => undefined);
    let looked = 0;
    const sinceSaidMs = (): number => {
      looked += 1;
      return sinceMs;
    };
    expect(await processesOver({ answerMs: 100, saidMs: 2_000, sinceSaidMs })(origin)).toBeUndefined();
    expect(looked).toBe(looks);
    await close();
  });

  it('is none where nobody takes a connection, whatever it says elsewhere: packets are lost on the way', async () => {
    const nobody = await startNobody();
    let looked = 0;
    const sinceSaidMs = (): number => {
      looked += 1;
      return 0;
    };
    const processAt = processesOver({ answerMs: 100, saidMs: 2_000, sinceSaidMs });
    expect([await processAt(`http://${nobody.address}`), looked]).toEqual([undefined, 0]);
    await nobody.stop();
  });
});
