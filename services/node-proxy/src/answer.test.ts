import { describe, expect, it } from '@jest/globals';
import { blobHead, isNotModified, tagsHeaders } from './answer.ts';

const D = `sha256:${'d'.repeat(64)}`;

describe('answers', () => {
  it.each([
    [undefined, false],
    [`"${D}"`, true],
    [`W/"${D}"`, true],
    [`"other", "${D}"`, true],
    ['*', true],
    [D, true],
    ['"other"', false],
  ])('If-None-Match: %s -> %s', (header, expected) => {
    expect(isNotModified(header, D)).toBe(expected);
  });

  it('tells which part of a blob it is', () => {
    const part = blobHead({ totalSize: 100, first: 10, length: 5, partial: true }, D, 'r');
    expect([
      part.status,
      part.headers['Content-Range' as keyof typeof part.headers],
      part.headers['Content-Length'],
    ]).toEqual([206, 'bytes 10-14/100', '5']);
    const whole = blobHead({ totalSize: 100, first: 0, length: 100, partial: false }, D, 'r');
    expect([whole.status, 'Content-Range' in whole.headers]).toEqual([200, false]);
  });

  it('links to the next page of tags, and marks what comes from the cache', () => {
    expect(tagsHeaders('quay.io/a', { next: 'v 2', from: 'upstream' }, 5, 10, 'r')).toMatchObject({
      Link: '</v2/quay.io/a/tags/list?last=v+2&n=5>; rel="next"',
    });
    const cached = tagsHeaders('quay.io/a', { from: 'cache' }, undefined, 10, 'r');
    expect(cached).toMatchObject({ Warning: '110 - "Response is Stale"' });
    expect(cached).not.toHaveProperty('Link');
  });
});
