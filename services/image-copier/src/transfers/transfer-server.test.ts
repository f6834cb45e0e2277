import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TRANSFER_ACCESS_HEADER, TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';
import { openBlobOver, RegistryError } from '@kuik/registry';
import { TransferServer } from './transfer-server.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const LEFT = Buffer.from('what is left');

describe('TransferServer', () => {
  let server: TransferServer;
  beforeEach(async () => {
    server = new TransferServer({
      listen: { host: '127.0.0.1', port: 0 },
      instance: 'this one',
      tokens: { refusal: () => undefined, issuer: (header) => header },
      copiers: 'a copier',
      transfers: {
        join: ({ access }) =>
          access === 'anonymous'
            ? Promise.resolve({ at: 'http://10.0.0.9:7440' })
            : Promise.reject(new RegistryError('timeout', 'spared', { retryAfterMs: 5_000 })),
        left: ({ offset = 0 }) =>
          Promise.resolve(
            openBlobOver({
              totalSize: 100,
              offset,
              length: 100 - offset,
              contentType: '',
              async pump(sink) {
                await sink(LEFT.subarray(offset));
                throw new RegistryError('truncated', 'that is all');
              },
              cancel: () => undefined,
            }),
          ),
      },
      idleMs: 10_000,
      count: () => undefined,
      onSent: () => undefined,
      now: () => 0,
      log: { warn: () => undefined },
    });
    await server.start();
  });
  afterEach(() => server.close());
  const ask = (path: string, headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { headers, redirect: 'manual' });
  const blob = (access: string, authorization: string, own = {}) =>
    ask(`/v2/registry.example.test/app/blobs/${DIGEST}`, { [TRANSFER_ACCESS_HEADER]: access, authorization, ...own });

  it('says which process it is', async () => {
    expect((await ask('/v2/', {})).headers.get(TRANSFER_INSTANCE_HEADER)).toBe('this one');
  });

  it('shows what was left here to copiers alone, and breaks off where that ends', async () => {
    expect((await blob('left', 'a proxy')).status).toBe(404);
    const shown = await blob('left', 'a copier', { range: 'bytes=5-' });
    expect([shown.status, shown.headers.get('content-range')]).toEqual([206, 'bytes 5-99/100']);
    await expect(shown.arrayBuffer()).rejects.toThrow();
  });

  it('says that upstream does not answer, in no word of upstream’s', async () => {
    const refused = await blob('credential', 'a proxy');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([504, null]);
  });

  it('sends everybody else on to the owner, with what they said of themselves', async () => {
    const sent = await blob('anonymous', 'a proxy', { 'kuik-pieces': '1' });
    expect([sent.status, sent.headers.get('location')]).toEqual([
      307,
      `http://10.0.0.9:7440/v2/registry.example.test/app/blobs/${DIGEST}?access=anonymous&pieces=1`,
    ]);
  });
});
