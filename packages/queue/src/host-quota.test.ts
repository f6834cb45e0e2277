import { describe, expect, it } from '@jest/globals';
import { floorWaitMs, FLOOR_PROBE_MS, foldWord, resetAtOf, scarcest } from './host-quota.ts';
import type { KnownQuota } from './port.ts';

const NOW = 1_000_000_000;
const HOUR = 3_600_000;
const WINDOW = 6 * HOUR;
const word = (remaining: number, limit = 100) => ({ identity: 'i', limit, remaining, windowSeconds: 21_600 });
const known = (change: Partial<KnownQuota> = {}): KnownQuota => ({
  limit: 100,
  remaining: 50,
  windowSeconds: 21_600,
  atMs: NOW,
  sinceMs: NOW,
  background: true,
  ...change,
});

describe('foldWord', () => {
  it.each<[string, KnownQuota | undefined, number, number]>([
    ['nothing known before: the window begins now', undefined, 99, NOW],
    ['less is left: the same window', known({ sinceMs: NOW - HOUR }), 49, NOW - HOUR],
    ['as much is left: the same window', known({ sinceMs: NOW - HOUR }), 50, NOW - HOUR],
    ['more is left: it was refilled', known({ sinceMs: NOW - HOUR }), 51, NOW],
    ['the window is over', known({ sinceMs: NOW - WINDOW }), 49, NOW],
  ])('%s', (_, before, remaining, sinceMs) => {
    expect(foldWord(before, word(remaining), false, NOW)).toMatchObject({ remaining, sinceMs, atMs: NOW });
  });

  it('remembers that background work met it, and keeps no identity', () => {
    const met = foldWord(undefined, word(9), true, NOW);
    expect(foldWord(met, word(8), false, NOW)).toEqual(known({ remaining: 8 }));
    expect(foldWord(undefined, word(9), false, NOW).background).toBeUndefined();
  });
});

describe('scarcest', () => {
  it('is the least share of what still counts', () => {
    const over = known({ remaining: 0, sinceMs: NOW - WINDOW });
    const small = known({ limit: 10, remaining: 2 });
    expect(scarcest([known(), small, over, known({ remaining: 21 })], NOW)).toBe(small);
    expect(scarcest([over, { atMs: NOW, sinceMs: NOW, limit: 5 }], NOW)).toBeUndefined();
  });
});

describe('floorWaitMs', () => {
  it.each<[string, Partial<KnownQuota>, number, number]>([
    ['enough is left', { remaining: 20 }, 0.2, 0],
    ['less than the floor', { remaining: 19 }, 0.2, FLOOR_PROBE_MS],
    ['less, told some time ago', { remaining: 19, atMs: NOW - 1_000 }, 0.2, FLOOR_PROBE_MS - 1_000],
    ['less, told long ago: one may look', { remaining: 0, atMs: NOW - FLOOR_PROBE_MS }, 0.2, 0],
    ['less, and the window ends before', { remaining: 0, sinceMs: NOW - WINDOW + 5 }, 0.2, 5],
    ['no floor', { remaining: 0 }, 0, 0],
    ['only pulls met it', { remaining: 0, background: undefined as never }, 0.2, 0],
  ])('%s', (_, change, floor, expected) => {
    expect(floorWaitMs([known(change)], floor, NOW)).toBe(expected);
  });

  it('without a limit only nothing is low', () => {
    const { limit: _limit, ...unlimited } = known({ remaining: 1 });
    expect(floorWaitMs([unlimited], 0.2, NOW)).toBe(0);
    expect(floorWaitMs([{ ...unlimited, remaining: 0 }], 0.2, NOW)).toBe(FLOOR_PROBE_MS);
  });
});

it('a window that is not named is an hour', () => {
  expect(resetAtOf({ atMs: NOW, sinceMs: NOW })).toBe(NOW + HOUR);
});
