import { describe, expect, it } from '@jest/globals';
import { quotaHeaders, scriptedReply } from './scripted-reply.ts';

describe('scripted answers', () => {
  it('have a spec-shaped body with the code of the status', () => {
    const reply = scriptedReply({ do: 'answer', status: 403 }, 0);
    expect(JSON.parse(reply.body)).toEqual({
      errors: [{ code: 'DENIED', message: 'requested access to the resource is denied' }],
    });
    expect(reply.headers['content-type']).toBe('application/json');
  });

  it.each([
    [{ retryAfter: 30 }, '30'],
    [{ retryAfter: 30, retryAfterAsDate: true }, 'Thu, 01 Jan 1970 00:01:30 GMT'],
    [{}, undefined],
  ])('Retry-After of %j is %s', (fault, expected) => {
    expect(scriptedReply({ do: 'answer', status: 429, ...fault }, 60_000).headers['retry-after']).toBe(expected);
  });

  it('may be a page of a captive portal, and headers win', () => {
    const reply = scriptedReply({ do: 'answer', status: 200, body: '<html>', headers: { 'X-A': '1' } }, 0);
    expect(reply).toEqual({ status: 200, body: '<html>', headers: { 'content-type': 'text/html', 'x-a': '1' } });
  });

  it('quota headers never go below zero', () => {
    expect(quotaHeaders(100, -3, 21_600)).toEqual({
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '0;w=21600',
    });
  });
});
