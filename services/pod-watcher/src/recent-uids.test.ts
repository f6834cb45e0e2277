import { describe, expect, it } from '@jest/globals';
import { RecentUids } from './recent-uids.ts';

describe('RecentUids', () => {
  it('knows for how long something happened to whom, until that is long ago', () => {
    let now = 0;
    const recent = new RecentUids(100, () => now);
    recent.add('a');
    now = 60;
    recent.add('b');
    expect([recent.has('a'), recent.ageMs('a'), recent.has('b'), recent.has('c')]).toEqual([true, 60, true, false]);
    now = 100;
    expect([recent.has('a'), recent.has('b')]).toEqual([false, true]);
    expect(recent.ageMs('c')).toBe(Infinity);
  });

  it('forgets who is old, and keeps whom it happened to again', () => {
    let now = 0;
    const recent = new RecentUids(100, () => now);
    for (const uid of ['a', 'b', 'a']) recent.add(((now += 50), uid));
    now = 210;
    recent.add('c');
    expect([recent.ageMs('b'), recent.ageMs('a'), recent.ageMs('c')]).toEqual([Infinity, 60, 0]);
  });
});
