import { afterEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { makeCertificates } from '@kuik/testbed';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createRegistryAccess } from './access.ts';
import type { RepositoryClient } from './port.ts';

const HOST = 'registry.example.test';
const KiB = 1024;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A TLS server whose head and body leave in one go, so that many records arrive with one read. */
async function serving(body: Buffer, bufferMaxBytes: number): Promise<RepositoryClient> {
  const certificates = await makeCertificates();
  const server = createServer(await certificates.certificate(HOST), (request, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = body.subarray(from);
    const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` };
    response.writeHead(from === 0 ? 200 : 206, { 'content-length': part.length, ...range });
    response.end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const access = createRegistryAccess({
    registries: { [HOST]: { address, ca: certificates.ca } },
    bufferMaxBytes,
    upstream: { idleMs: 1_000 },
  });
  open.push({ close: () => (server.closeAllConnections(), server.close()) }, access);
  return access.upstream(HOST, 'a/b', { credentials: () => Promise.resolve([]) });
}

/** The whole body, taken by a reader that is now and then too slow for the writer. */
async function pull(client: RepositoryClient, digest: string, offset: number, round: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  const blob = await client.openBlob(digest, { offset, verify: false });
  await blob.deliver((chunk) => {
    parts.push(Buffer.from(chunk));
    if ((parts.length + round) % 3 === 0) return undefined;
    return new Promise((resolve) =>
      (parts.length + round) % 3 === 1 ? setImmediate(resolve) : setTimeout(resolve, 2),
    );
  });
  return Buffer.concat(parts);
}

describe('the raw path over TLS, which hands out what it has decrypted even when told to stop', () => {
  it.each([
    [10 * KiB, 64],
    [50 * KiB, 64],
    [200 * KiB, 64],
    [3000 * KiB, 64],
    [3000 * KiB, 256],
    [9000 * KiB, 1024],
  ])('keeps every byte of bodies of %d bytes through buffers of %d KiB', async (size, buffer) => {
    const body = randomBytes(size);
    const client = await serving(body, buffer * KiB);
    for (let round = 0; round < 6; round += 1) {
      const offset = round % 2 === 0 ? 0 : 4321;
      const got = await pull(client, digestOf(body), offset, round);
      expect({ bytes: got.length, same: got.equals(body.subarray(offset)) }).toEqual({
        bytes: size - offset,
        same: true,
      });
    }
  });
});
