import { describe, expect, it } from '@jest/globals';
import { nextPage } from './tags.ts';

const base = new URL('https://r.test/v2/a/b/tags/list?n=2');

describe('nextPage', () => {
  it.each([
    ['</v2/a/b/tags/list?last=c&n=2>; rel="next"', 'c'],
    ['<https://r.test/v2/a/b/tags/list?n=2&last=v1.0>; rel=next', 'v1.0'],
    // Only the query counts, wherever the link points.
    ['<https://evil.test/v2/a/b/tags/list?last=c>; rel="next"', 'c'],
    ['</v2/a/b/tags/list?n=50&next_page=gAAAAAB>; rel="next"', '?n=50&next_page=gAAAAAB'],
    ['</v2/a/b/tags/list?last=c>; rel="prev"', undefined],
    ['</v2/a/b/tags/list>; rel="next"', undefined],
    ['no link', undefined],
    ['<'.repeat(60_000), undefined],
    [undefined, undefined],
  ])('%s', (link, next) => {
    expect(nextPage(link, base)).toBe(next);
  });
});
