import { describe, expect, it } from '@jest/globals';
import { parseRateLimit, parseRetryAfter, quotaIdentity } from './response-limits.ts';

describe('parseRetryAfter', () => {
  const now = Date.parse('2026-11-21T10:00:00Z');
  it.each([
    ['120', 120_000],
    [' 5 ', 5_000],
    ['0', 0],
    ['Sat, 21 Nov 2026 10:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
    ['99999999999', 86_400_000],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });
});

describe('parseRateLimit', () => {
  it.each([
    [
      { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' },
      { limit: 100, remaining: 76, windowSeconds: 21600 },
    ],
    [{ 'ratelimit-remaining': '0; w=60' }, { remaining: 0, windowSeconds: 60 }],
    [{ 'ratelimit-limit': '100' }, { limit: 100 }],
    [{ 'ratelimit-limit': '100;w=21600;comment' }, { limit: 100, windowSeconds: 21600 }],
    [{ 'ratelimit-limit': 'many' }, undefined],
    [{}, undefined],
  ])('%j', (headers: Record<string, string>, expected) => {
    expect(parseRateLimit((name) => headers[name])).toEqual(expected);
  });
});

describe('quotaIdentity', () => {
  it('is a hash of what the registry calls us, the same each time, and shows nothing of it', () => {
    const identity = quotaIdentity('198.51.100.7', true);
    expect(identity).toMatch(/^[0-9a-f]{16}$/);
    expect(quotaIdentity(' 198.51.100.7 ', false)).toBe(identity);
    expect(quotaIdentity('198.51.100.8', true)).not.toBe(identity);
  });

  it.each([
    [undefined, true, 'anonymous'],
    ['', true, 'anonymous'],
    [undefined, false, 'credential'],
  ])('without a word (%j) it is whether a credential was shown', (source, anonymous, expected) => {
    expect(quotaIdentity(source, anonymous)).toBe(expected);
  });
});
