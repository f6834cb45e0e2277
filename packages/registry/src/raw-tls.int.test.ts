import { afterEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { makeCertificates } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { createRegistryAccess } from './access.ts';
import type { RepositoryClient } from './port.ts';

const HOST = 'registry.example.test';
const KiB = 1024;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Hands on what a server sends in heaps, so that one read holds many TLS records: the head's and the first of the body's, too. */
async function heaping(port: number): Promise<number> {
  const relay = createTcpServer((client) => {
    const server = connect(port, '127.0.0.1');
    let heap: Buffer[] = [];
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.pipe(server);
    server.on('data', (bytes) => {
      if (heap.push(bytes) > 1) return;
      setTimeout(() => {
        client.write(Buffer.concat(heap));
        heap = [];
      }, 5);
    });
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
  });
  open.push(relay);
  return listening(relay);
}

/** A TLS server whose head and body are records of their own, which arrive together. */
async function serving(body: Buffer, bufferMaxBytes: number): Promise<RepositoryClient> {
  const certificates = await makeCertificates();
  const server = createServer(await certificates.certificate(HOST), (request, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = body.subarray(from);
    const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` };
    response.writeHead(from === 0 ? 200 : 206, { 'content-length': part.length, ...range });
    response.flushHeaders();
    response.write(part.subarray(0, 1000));
    response.end(part.subarray(1000));
  });
  const address = `127.0.0.1:${await heaping(await listening(server))}`;
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
  // The head is known, its reader is not ready yet.
  if (round > 1) await new Promise((resolve) => setImmediate(resolve));
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
    [2 * KiB, 64],
    [10 * KiB, 64],
    [50 * KiB, 64],
    [200 * KiB, 64],
    [3000 * KiB, 64],
    [3000 * KiB, 256],
    [sized({ usual: 3000, full: 9000 }) * KiB, 1024],
  ])('keeps every byte of bodies of %d bytes through buffers of %d KiB', async (size, buffer) => {
    const body = randomBytes(size);
    const client = await serving(body, buffer * KiB);
    for (let round = 0; round < 6; round += 1) {
      const offset = round % 2 === 0 ? 0 : 321;
      const got = await pull(client, digestOf(body), offset, round);
      expect({ bytes: got.length, same: got.equals(body.subarray(offset)) }).toEqual({
        bytes: size - offset,
        same: true,
      });
    }
  });
});
