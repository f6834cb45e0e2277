import { describe, expect, it } from '@jest/globals';
import { Incoming } from './incoming.ts';

/** What a connection does with it: `read` is one read of the socket, wherever it was told to land. */
function incoming(encrypted = false, room?: number) {
  const failures: string[] = [];
  let progress = 0;
  const peer = new Incoming({
    name: 'peer',
    encrypted,
    ...(room === undefined ? {} : { buffer: () => Buffer.alloc(room) }),
    onProgress: () => (progress += 1),
    onFailure: ({ message }) => void failures.push(message),
  });
  const read = (text: string): boolean => {
    const target = peer.target();
    const bytes = target.write(text, 'latin1');
    return peer.took(bytes, target);
  };
  return { peer, read, failures, progress: () => progress };
}

const head = (length: number, extra = ''): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n${extra}\r\n`;
const none = (): undefined => undefined;

describe('Incoming', () => {
  it.each([
    ['no body', head(0), { on: true, whole: false, held: false, reusable: true }],
    ['a body that came with it', `${head(4)}body`, { on: true, whole: true, held: true, reusable: false }],
    ['a body of which a part came', `${head(4)}bo`, { on: false, whole: false, held: true, reusable: false }],
    ['a body that is still to come', head(4), { on: false, whole: false, held: true, reusable: false }],
    ['the last word of the peer', head(0, 'Connection: close\r\n'), { on: true, held: false, reusable: false }],
    ['bytes behind an empty body', `${head(0)}evil`, { on: true, held: false, reusable: false }],
  ])('after a head with %s', (_what, text, expected) => {
    const { peer, read, progress } = incoming();
    peer.expectHead();
    const on = read(text);
    const { whole, held, reusable } = peer;
    expect({ on, whole, held, reusable }).toMatchObject(expected);
    expect([peer.head?.status, progress()]).toEqual([200, 1]);
  });

  it('gives a whole body although the connection is closed, once', () => {
    const { peer, read } = incoming();
    peer.expectHead();
    read(`${head(4)}body`);
    peer.close();
    expect(peer.early(4).toString()).toBe('body');
    peer.bodyOver();
    expect([peer.whole, peer.held, peer.reusable]).toEqual([false, false, false]);
  });

  it('reads nothing into a whole body that the sink has, and takes no more bytes for an answer', () => {
    const { peer, read, failures } = incoming();
    peer.expectHead();
    read(`${head(4)}body`);
    const body = peer.early(4);
    expect(read('evil')).toBe(false);
    expect(body.toString()).toBe('body');
    expect(failures).toEqual(['peer sent bytes that no request asked for']);
  });

  it('keeps what TLS still hands out after it was told to stop', () => {
    const { peer, read, failures } = incoming(true);
    peer.expectHead();
    read(`${head(8)}bo`);
    expect(read('dy')).toBe(false);
    expect(peer.early(8).toString()).toBe('body');
    expect(failures).toEqual([]);
  });

  it('reads the rest of a body, and no byte of it beyond its length', () => {
    const { peer, read } = incoming();
    peer.expectHead();
    read(`${head(8)}the `);
    peer.expectBody(4, () => Buffer.alloc(64), none);
    expect(read('bodyHTTP/1.1')).toBe(true);
    expect(peer.take()?.toString()).toBe('body');
    peer.release();
    peer.bodyOver();
    expect([peer.awaitsBody, peer.reusable]).toEqual([false, true]);
  });

  describe('a body that has room', () => {
    const unused = (): never => {
      throw new Error('it has its buffer since its head');
    };

    it('is read on while nobody takes it, up to its end, and counts as under way until it was taken', () => {
      const { peer, read, failures } = incoming(false, 64);
      peer.expectHead();
      expect(read(`${head(12)}the `)).toBe(true);
      expect([read('whole '), read('bo')]).toEqual([true, true]);
      expect([peer.held, peer.reusable, peer.awaitsBody]).toEqual([true, false, false]);
      expect(peer.early(12).toString()).toBe('the ');
      peer.expectBody(8, unused, none);
      expect(peer.take()?.toString()).toBe('whole bo');
      peer.release();
      peer.bodyOver();
      expect([peer.reusable, failures]).toEqual([true, []]);
    });

    it('stops the peer when the room is used up, until some of it is taken', () => {
      const { peer, read } = incoming(false, 8);
      peer.expectHead();
      expect(read(`${head(16)}the `)).toBe(true);
      expect([read('whole bo'), peer.full]).toEqual([false, true]);
      peer.expectBody(12, unused, none);
      expect(peer.take()?.toString()).toBe('whole bo');
      expect([peer.release(), peer.full]).toEqual([true, false]);
      expect(read('dy..')).toBe(true);
      expect(peer.take()?.toString()).toBe('dy..');
    });

    it('can be taken, as far as it came, when the connection is gone', () => {
      const { peer, read } = incoming(false, 64);
      peer.expectHead();
      read(`${head(12)}the `);
      read('who');
      peer.close();
      expect([peer.held, peer.reusable]).toEqual([true, false]);
      peer.expectBody(8, unused, none);
      expect([peer.take()?.toString(), peer.take(), peer.held]).toEqual(['who', undefined, false]);
    });

    it('is the last one on a connection on which more came than it', () => {
      const { peer, read, failures } = incoming(false, 64);
      peer.expectHead();
      read(`${head(4)}bo`);
      read('dy');
      expect(read('evil')).toBe(false);
      expect(failures).toEqual(['peer sent bytes that no request asked for']);
      peer.close();
      expect(peer.early(4).toString()).toBe('bo');
      peer.expectBody(2, unused, none);
      expect([peer.take()?.toString(), peer.reusable]).toEqual(['dy', false]);
    });
  });

  it('is used once more after one answer, and not after one that was spoilt', () => {
    const { peer, read } = incoming();
    peer.expectHead();
    read(`${head(4)}body`);
    peer.early(4);
    peer.bodyOver();
    expect(peer.reusable).toBe(true);
    peer.spoil();
    expect(peer.reusable).toBe(false);
  });

  it('refuses what is no head', () => {
    const { peer, read, failures } = incoming();
    peer.expectHead();
    expect(read('SSH-2.0-x\r\n\r\n')).toBe(false);
    expect(failures).toHaveLength(1);
  });
});
