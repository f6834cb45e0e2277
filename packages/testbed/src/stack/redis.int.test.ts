import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisServer } from '../port.ts';
import { startRedis } from './redis.ts';

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** Sends the commands as the user of `url` (none: unauthenticated) and gives the first line of each reply. */
async function talk(url: string | undefined, commands: string[]): Promise<string[]> {
  const lines = url ? [`AUTH ${new URL(url).username} ${new URL(url).password}`, ...commands] : commands;
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  socket.write([...lines, 'QUIT'].map((line) => `${line}\r\n`).join(''));
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text.split('\r\n').filter((line) => /^[+:$-]/.test(line));
}

describe('startRedis', () => {
  it('knows nobody without a password', async () => {
    expect((await talk(undefined, ['GET kuik:x']))[0]).toMatch(/^-NOAUTH/);
  });

  it('gives a service our keys and nothing dangerous', async () => {
    const replies = await talk(server.url('pod-watcher'), [
      'SET kuik:x 1',
      'SET other:x 1',
      'FLUSHALL',
      'CONFIG GET save',
    ]);
    expect(replies[0]).toBe('+OK');
    expect(replies[1]).toBe('+OK');
    expect(replies[2]).toMatch(/^-NOPERM/);
    expect(replies[3]).toMatch(/^-NOPERM/);
    expect(replies[4]).toMatch(/^-NOPERM/);
  });

  it('never evicts', async () => {
    const replies = await talk(server.testUrl, ['CONFIG GET maxmemory-policy']);
    expect(replies).toContain('$10');
  });

  it('keeps what was written over SIGKILL and restart; flush empties it', async () => {
    await talk(server.url('monitor'), ['SET kuik:kept yes', 'WAITAOF 1 0 1000']);
    await server.restart();
    expect(await talk(server.url('monitor'), ['EXISTS kuik:kept'])).toContain(':1');
    await server.flush();
    expect(await talk(server.url('monitor'), ['EXISTS kuik:kept'])).toContain(':0');
  });
});
