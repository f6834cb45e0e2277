import { describe, expect, it } from '@jest/globals';
import { SlotShare } from './slot-share.ts';

describe('SlotShare', () => {
  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 3],
  ])('gives a key of %i slots %i', (concurrency, most) => {
    const share = new SlotShare<string>(concurrency);
    const given = Array.from({ length: concurrency + 1 }, () => share.enter('a')).filter(Boolean);
    expect(given).toHaveLength(most);
    expect(share.enter('b')).toBe(true);
  });

  it('gives a slot again after it was left', () => {
    const share = new SlotShare<string>(2);
    expect(share.enter('a')).toBe(true);
    expect(share.enter('a')).toBe(false);
    share.leave('a', 0);
    expect(share.call('a', 0)).toEqual([]);
    expect(share.enter('a')).toBe(true);
  });

  it('calls the job that was held first, of that key only, and none that is back by itself', () => {
    const share = new SlotShare<string>(2);
    share.enter('a');
    for (const job of ['one', 'two', 'three']) share.hold('a', job, 0, 0);
    share.hold('b', 'other', 0, 0);
    expect(share.call('a', 5)).toEqual([]);
    share.leave('a', 10);
    expect(share.call('a', 10)).toEqual(['one']);
    expect(share.call('a', 20)).toEqual(['two']);
    expect([share.holds('a', 20), share.holds('a', 10_000)]).toEqual([true, false]);
    expect(share.call('a', 10_000)).toEqual([]);
  });

  it('calls as many as there are free slots', () => {
    const share = new SlotShare<string>(6);
    for (const job of ['one', 'two', 'three', 'four']) share.hold('a', job, 0, 0);
    share.enter('a');
    expect(share.call('a', 10)).toEqual(['one', 'two']);
  });

  it('holds longer the more are held, between 300 ms and a minute, each at a time of its own', () => {
    const share = new SlotShare<number>(2);
    expect(share.hold('a', 0, 0, 0)).toBe(300);
    expect(share.hold('a', 1, 0, 0.999)).toBeGreaterThan(600);
    const many = Array.from({ length: 1_000 }, (_, job) => share.hold('a', job, 0, (job % 100) / 100));
    expect(Math.min(...many)).toBeGreaterThanOrEqual(300);
    expect(Math.max(...many)).toBeGreaterThan(55_000);
    expect(Math.max(...many)).toBeLessThanOrEqual(60_000);
    expect(share.hold('a', 1, 61_000, 0.999)).toBeLessThanOrEqual(600);
  });

  it.each([
    ['fast ones', 10, 100],
    ['slower ones', 200, 400],
    ['very slow ones', 4_000, 1_000],
    ['one now and then', 10_000, 100],
  ])('holds jobs behind others for as long as those take: %s', (_name, everyMs, perJobMs) => {
    const share = new SlotShare<number>(4);
    for (let at = 0; at <= 30; at += 1) {
      share.enter('a');
      share.enter('a');
      share.leave('a', at * everyMs);
    }
    const now = 30 * everyMs;
    for (let job = 0; job < 10; job += 1) share.hold('a', job, now, 0);
    expect(share.hold('a', 10, now, 0.9999)).toBeCloseTo(600 + 10 * perJobMs, -1);
  });

  it('has no more jobs come back than a worker could take, however many are held', () => {
    const share = new SlotShare<number>(2);
    const dueMs = Array.from({ length: 500 }, (_, job) => share.hold('a', job, 0, ((job * 37) % 100) / 100));
    for (const fromMs of [0, 5_000, 10_000, 20_000]) {
      const back = dueMs.filter((ms) => ms >= fromMs && ms < fromMs + 1_000);
      expect(back.length).toBeLessThanOrEqual(25);
    }
  });
});
