import { describe, expect, it } from '@jest/globals';
import { endOfHead, parseResponseHead } from './response-head.ts';

const parse = (...lines: string[]) => parseResponseHead(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));

describe('parseResponseHead', () => {
  it('reads status, fields and framing', () => {
    const head = parse(
      'HTTP/1.1 206 Partial Content',
      'Content-Length: 10',
      'X-A:  one ',
      'x-a: two',
      'WWW-Authenticate: Basic',
      'WWW-Authenticate: Bearer realm="x"',
    );
    expect([head.status, head.contentLength, head.chunked, head.keepAlive]).toEqual([206, 10, false, true]);
    expect(head.header('x-a')).toBe('one, two');
    expect(head.headers('www-authenticate')).toEqual(['Basic', 'Bearer realm="x"']);
    expect(head.header('absent')).toBeUndefined();
  });

  it.each([
    [['HTTP/1.1 200', 'Content-Length: 0'], 0, false, true],
    [['HTTP/1.1 200 OK'], undefined, false, true],
    [['HTTP/1.1 204 No Content'], 0, false, true],
    [['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], undefined, true, true],
    [['HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 3'], 3, false, false],
    [['HTTP/1.1 200 OK', 'Connection: Keep-Alive, Close', 'Content-Length: 3'], 3, false, false],
    [['HTTP/1.0 200 OK', 'Content-Length: 3'], 3, false, false],
  ])('%j', (lines, length, chunked, keepAlive) => {
    const head = parse(...lines);
    expect([head.contentLength, head.chunked, head.keepAlive]).toEqual([length, chunked, keepAlive]);
  });

  it.each([
    ['both framings', ['HTTP/1.1 200 OK', 'Content-Length: 3', 'Transfer-Encoding: chunked']],
    ['two lengths', ['HTTP/1.1 200 OK', 'Content-Length: 3', 'Content-Length: 4']],
    ['two equal lengths', ['HTTP/1.1 200 OK', 'Content-Length: 3', 'Content-Length: 3']],
    ['a list of lengths', ['HTTP/1.1 200 OK', 'Content-Length: 3, 3']],
    ['a negative length', ['HTTP/1.1 200 OK', 'Content-Length: -3']],
    ['a signed length', ['HTTP/1.1 200 OK', 'Content-Length: +3']],
    ['a hex length', ['HTTP/1.1 200 OK', 'Content-Length: 0x10']],
    ['an endless length', ['HTTP/1.1 200 OK', 'Content-Length: 99999999999999999999']],
    ['an odd encoding', ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked']],
    ['a folded field', ['HTTP/1.1 200 OK', 'X-A: one', ' two']],
    ['a space before the colon', ['HTTP/1.1 200 OK', 'Content-Length : 3']],
    ['a field without a name', ['HTTP/1.1 200 OK', ': 3']],
    ['a field without a colon', ['HTTP/1.1 200 OK', 'Content-Length']],
    ['a bare LF', ['HTTP/1.1 200 OK', 'X-A: one\nContent-Length: 3']],
    ['a bare CR', ['HTTP/1.1 200 OK', 'X-A: one\rContent-Length: 3']],
    ['a NUL', ['HTTP/1.1 200 OK', 'X-A: one\0']],
    ['HTTP/2', ['HTTP/2 200']],
    ['no status', ['HTTP/1.1 OK']],
    ['a status of four digits', ['HTTP/1.1 2000 OK']],
    ['something else', ['SSH-2.0-OpenSSH_9.2']],
  ])('refuses %s', (_what, lines) => {
    expect(() => parse(...lines)).toThrow(expect.objectContaining({ code: 'invalid-response' }));
  });
});

describe('endOfHead', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\n\r\nbody', 19],
    ['HTTP/1.1 200 OK\r\n', -1],
    ['HTTP/1.1 200 OK\n\n', -1],
  ])('%j', (text, at) => {
    expect(endOfHead(Buffer.from(text))).toBe(at);
  });
});
