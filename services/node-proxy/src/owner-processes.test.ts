import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';
import { processesOver } from './owner-processes.ts';

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
    const processAt = processesOver(60_000);
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
    expect(await processesOver(500)(origin)).toBeUndefined();
    await close();
  });
});
