import { describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import { listenOn, parseListenAddress } from './listen.ts';

describe('listening', () => {
  it.each([
    ['127.0.0.1:7439', { host: '127.0.0.1', port: 7439 }],
    ['[::1]:7439', { host: '::1', port: 7439 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['7439', undefined],
    ['127.0.0.1:70000', undefined],
    ['::1:7439', undefined],
    ['http://127.0.0.1:7439', undefined],
  ])('%s', (text, expected) => {
    expect(parseListenAddress(text)).toEqual(expected);
  });

  it('takes a free port, passes over an IPv6 address that is not there, and refuses any other failure', async () => {
    const server = createServer();
    const taken = await listenOn(server, { host: '127.0.0.1', port: 0 });
    expect(taken?.port).toBeGreaterThan(0);
    expect(await listenOn(createServer(), { host: '2001:db8::1', port: 0 })).toBeUndefined();
    await expect(listenOn(createServer(), taken!)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    server.close();
  });
});
