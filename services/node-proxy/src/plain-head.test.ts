import { describe, expect, it } from '@jest/globals';
import { readPlainHead } from './plain-head.ts';

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const LINE = 'GET /v2/docker.io/library/nginx/manifests/1 HTTP/1.1';

describe('readPlainHead', () => {
  it.each([
    ['with Host alone', head(LINE, 'Host: localhost:7439')],
    [
      "a containerd's",
      head(LINE, 'Host: localhost:7439', 'User-Agent: containerd/2.4', 'Accept: a/b, */*', 'Accept-Encoding: gzip'),
    ],
    ['whatever the case of its names', head(LINE, 'HOST:localhost', 'aCCept: */*')],
  ])('reads a head %s', (_what, text) => {
    expect(readPlainHead(text)).toEqual({ method: 'GET', target: '/v2/docker.io/library/nginx/manifests/1' });
  });

  it('reads which part is asked for, and whether the connection stays', () => {
    expect(readPlainHead(head(LINE, 'Host: a', 'Range: bytes=0-1', 'Connection: Close'))).toMatchObject({
      range: 'bytes=0-1',
      last: true,
    });
    expect(readPlainHead(head(LINE, 'Host: a', 'Connection: keep-alive'))).not.toHaveProperty('last');
  });

  it('reads HEAD', () => {
    expect(readPlainHead(head('HEAD /v2/x/y/manifests/1 HTTP/1.1', 'Host: h'))?.method).toBe('HEAD');
  });

  it.each([
    ['no Host', head(LINE, 'Accept: */*')],
    ['two Hosts', head(LINE, 'Host: a', 'Host: b')],
    ['a field twice', head(LINE, 'Host: a', 'Accept: x', 'accept: y')],
    ['an unknown field', head(LINE, 'Host: a', 'X-Forwarded-For: b')],
    ['two Ranges', head(LINE, 'Host: a', 'Range: bytes=0-1', 'Range: bytes=2-3')],
    ['a condition on a Range', head(LINE, 'Host: a', 'Range: bytes=0-1', 'If-Range: "x"')],
    ['a condition', head(LINE, 'Host: a', 'If-None-Match: *')],
    ['a credential', head(LINE, 'Host: a', 'Authorization: Basic x')],
    ['a body', head(LINE, 'Host: a', 'Content-Length: 1')],
    ['a body in chunks', head(LINE, 'Host: a', 'Transfer-Encoding: chunked')],
    ['a wish for another protocol', head(LINE, 'Host: a', 'Connection: upgrade')],
    ['a list of wishes for the connection', head(LINE, 'Host: a', 'Connection: keep-alive, x-hop')],
    ['a space before the colon', head(LINE, 'Host: a', 'Accept : b')],
    ['a folded line', head(LINE, 'Host: a', ' b')],
    ['a bare line feed', head(LINE, 'Host: a\nContent-Length: 1')],
    ['a bare carriage return', head(LINE, 'Host: a\rb')],
    ['bytes beyond ASCII', head(LINE, 'Host: \u00e9')],
    ['another method', head('PUT /v2/x/y/manifests/1 HTTP/1.1', 'Host: a')],
    ['a lower-case method', head('get /v2/x/y/manifests/1 HTTP/1.1', 'Host: a')],
    ['another version', head('GET /v2/x/y/manifests/1 HTTP/1.0', 'Host: a')],
    ['an absolute target', head('GET http://h/v2/x/y/manifests/1 HTTP/1.1', 'Host: a')],
    ['another path', head('GET /metrics HTTP/1.1', 'Host: a')],
    ['two spaces', head('GET  /v2/x/y/manifests/1 HTTP/1.1', 'Host: a')],
    ['an end that is not there yet', `${LINE}\r\nHost: a\r\n`],
    ['something behind its end', `${head(LINE, 'Host: a')}GET`],
    ['another request behind it', head(LINE, 'Host: a') + head(LINE, 'Host: a')],
    ['an endless field', head(LINE, `Host: ${'a'.repeat(5000)}`)],
    ['nothing', ''],
  ])('leaves a head with %s to the full parser', (_what, text) => {
    expect(readPlainHead(text)).toBeUndefined();
  });
});
