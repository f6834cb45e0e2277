import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from '@jest/globals';
import { freePort } from './free-port.ts';

const BLOCK = 50;

/** The code with which listening there fails. */
async function refusal(port: number): Promise<string | undefined> {
  const server = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  try {
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    server.close();
  }
}

it('gives each port once, of blocks that no other process can take meanwhile', async () => {
  const ports = await Promise.all(Array.from({ length: 60 }, () => freePort()));
  expect(new Set(ports).size).toBe(60);
  const blocks = [...new Set(ports.map((port) => port - (port % BLOCK)))];
  expect(blocks.length).toBeLessThanOrEqual(3);
  expect(await Promise.all(blocks.map(refusal))).toEqual(blocks.map(() => 'EADDRINUSE'));
  expect(await refusal(ports[0]!)).toBeUndefined();
});

it('passes over a port that somebody listens on, also the preferred one', async () => {
  const taken = await freePort();
  const server = createServer().listen(taken, '127.0.0.1');
  await once(server, 'listening');
  try {
    expect(await freePort(taken)).not.toBe(taken);
  } finally {
    server.close();
  }
});

it('gives the preferred port when it is free, once', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  expect(await freePort(port)).toBe(port);
  expect(await freePort(port)).not.toBe(port);
});
