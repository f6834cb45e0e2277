import { describe, expect, it } from '@jest/globals';
import { HeadReader } from './head-reader.ts';

/** Feeds a text in pieces of `size`, into the reader's own target or (as after a pause) from elsewhere. */
function feed(reader: HeadReader, text: string, size: number, elsewhere: boolean) {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    const target = elsewhere ? Buffer.alloc(piece.length) : reader.target();
    piece.copy(target);
    const head = reader.add(piece.length, target);
    if (head !== undefined) return { head, rest: reader.rest.toString('latin1') };
  }
  return undefined;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n';

describe('HeadReader', () => {
  it.each([
    [1, false],
    [7, false],
    [10_000, false],
    [1, true],
    [7, true],
    [10_000, true],
  ])('finds the head in pieces of %i (elsewhere: %s)', (size, elsewhere) => {
    const found = feed(new HeadReader(), `${ANSWER}body`, size, elsewhere);
    expect(found?.head.status).toBe(200);
    expect('body'.startsWith(found!.rest)).toBe(true);
    expect(found?.rest).toBe(size === 10_000 ? 'body' : found?.rest);
  });

  it('skips interim answers', () => {
    const found = feed(
      new HeadReader(),
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n${ANSWER}body`,
      10_000,
      false,
    );
    expect([found?.head.status, found?.rest]).toEqual([200, 'body']);
  });

  it('takes a large head, and no endless one', () => {
    const filler = (lines: number) => 'X-Filler: 0123456789\r\n'.repeat(lines);
    const large = ANSWER.replace('\r\n\r\n', `\r\n${filler(2500)}\r\n`);
    expect(feed(new HeadReader(), large, 1460, false)?.head.contentLength).toBe(4);
    expect(() => feed(new HeadReader(), `HTTP/1.1 200 OK\r\n${filler(4000)}`, 1460, false)).toThrow(
      'larger than 65536',
    );
    expect(() => feed(new HeadReader(), ANSWER.replace('\r\n\r\n', `\r\n${filler(4000)}\r\n`), 1460, true)).toThrow(
      'larger than',
    );
  });

  it('begins anew after a reset', () => {
    const reader = new HeadReader();
    feed(reader, `${ANSWER}body`, 10_000, false);
    reader.reset();
    expect(feed(reader, ANSWER, 5, false)?.head.status).toBe(200);
  });

  it('never grows for what comes behind the head, and gives room to read there', () => {
    const reader = new HeadReader();
    for (let exchange = 0; exchange < 50; exchange += 1) {
      reader.reset();
      const target = reader.target();
      expect(target.length).toBeLessThanOrEqual(16 * 1024);
      target.fill('x');
      target.write(ANSWER, 'latin1');
      expect(reader.add(target.length, target)?.status).toBe(200);
      const rest = reader.rest;
      const behind = reader.targetBehind();
      expect(behind.length).toBeGreaterThanOrEqual(4096);
      behind.fill('y');
      expect(rest.equals(Buffer.alloc(target.length - ANSWER.length, 'x'))).toBe(true);
    }
  });
});
