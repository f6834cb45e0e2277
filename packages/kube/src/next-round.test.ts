import { describe, expect, it } from '@jest/globals';
import { nextRound, type NextRound, type RoundEnd } from './next-round.ts';

const base: RoundEnd = { phase: 'watch', end: 'closed', lastedMs: 10, progressed: false, failures: 0 };

describe('nextRound', () => {
  it.each<[string, Partial<RoundEnd>, NextRound]>([
    ['a full list is due', { end: 'resync' }, { why: 'resync', list: true, failures: 0 }],
    ['a long watch closed', { lastedMs: 300_000, failures: 3 }, { why: 'closed', list: false, failures: 1 }],
    ['a watch closed at once', {}, { why: 'closed', list: false, failures: 1 }],
    ['a watch closed at once again', { failures: 2 }, { why: 'closed', list: false, failures: 3 }],
    ['a watch closed at once for the fifth time', { failures: 4 }, { why: 'closed', list: true, failures: 5 }],
    ['a watch closed after an event', { progressed: true, failures: 8 }, { why: 'closed', list: false, failures: 1 }],
    ['the version is gone', { end: 'gone' }, { why: 'gone', list: true, failures: 1 }],
    [
      'the version is gone again and again',
      { end: 'gone', progressed: true, failures: 3 },
      { why: 'gone', list: true, failures: 4 },
    ],
    ['the watch was silent', { end: 'timeout', lastedMs: 90_000 }, { why: 'idle', list: true, failures: 1 }],
    ['the server went away', { end: 'unavailable', lastedMs: 60_000 }, { why: 'error', list: false, failures: 1 }],
    ['the server is busy', { end: 'too-many-requests', failures: 1 }, { why: 'error', list: false, failures: 2 }],
    ['the right was taken away', { end: 'forbidden' }, { why: 'error', list: false, failures: 1 }],
    ['the stream made no sense', { end: 'unexpected' }, { why: 'error', list: true, failures: 1 }],
    ['the request was refused', { end: 'invalid' }, { why: 'error', list: true, failures: 1 }],
    ['the list failed', { phase: 'list', end: 'unavailable' }, { why: 'error', list: true, failures: 1 }],
    [
      'the list failed again',
      { phase: 'list', end: 'unavailable', failures: 6 },
      { why: 'error', list: true, failures: 7 },
    ],
  ])('when %s', (_, end, expected) => {
    expect(nextRound({ ...base, ...end })).toEqual(expected);
  });
});
