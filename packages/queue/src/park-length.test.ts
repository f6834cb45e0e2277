import { expect, it } from '@jest/globals';
import { asksForTime, parkLengthMs, parkLengths } from './park-length.ts';

it.each([
  ["the registry's own word", 30_000, 1, 0.5, 30_000],
  ['its word, however long', 9_999_000, 3, 0.5, 9_999_000],
  ['"0", once', 0, 1, 0.5, 1_000],
  ['"0", four times in a row', 0, 4, 0.5, 8_000],
  ['"0", for ever', 0, 99, 0.5, 60_000],
  ['no word: up to a minute', undefined, 1, 0.999999, 59_999],
  ['no word, and chance is in a hurry', undefined, 1, 0, 1_000],
  ['no word, the third time', undefined, 3, 0.999999, 239_999],
  ['no word, for ever', undefined, 99, 0.999999, 3_599_996],
])('a limit parks for: %s', (_, retryAfterMs, times, random, expected) => {
  expect(parkLengthMs({ retryAfterMs, times }, random)).toBe(expected);
});

it.each([
  ['a limit', 'rate-limited', 30_000, { retryAfterMs: 30_000 }],
  ['a limit without a word', 'rate-limited', undefined, { retryAfterMs: undefined }],
  ['a 503 that says when', 'server-error', 30_000, { retryAfterMs: 30_000 }],
  ['a 503 that says much later', 'server-error', 3_600_000, { retryAfterMs: 60_000 }],
  ['a 503 that says nothing', 'server-error', undefined, undefined],
  ['a refusal that says when', 'unauthorized', 30_000, undefined],
])('%s asks for time, or does not', (_, code, retryAfterMs, expected) => {
  expect(asksForTime({ code, retryAfterMs })).toEqual(expected);
});

it.each([undefined, 0, 30_000])('all lengths there are, the last one for ever: asked for %s', (retryAfterMs) => {
  const lengths = parkLengths(retryAfterMs, 0.7);
  for (const times of [1, 2, 7, 8, 99])
    expect(lengths[Math.min(times, lengths.length) - 1]).toBe(parkLengthMs({ retryAfterMs, times }, 0.7));
});
