import { describe, expect, it } from '@jest/globals';
import { DescriptionPace, restAfter } from './description-pace.ts';

describe('restAfter', () => {
  it.each([
    ['the first word', undefined, 0, 30],
    ['a change that waited', { at: 0, restMs: 30 }, 30, 60],
    ['a change soon after', { at: 0, restMs: 60 }, 119, 120],
    ['a change long after', { at: 0, restMs: 60 }, 120, 30],
    ['no longer than that', { at: 0, restMs: 240 }, 300, 240],
  ])('%s', (_name, before, now, expected) => {
    expect(restAfter(before, now, 30)).toBe(expected);
  });
});

describe('DescriptionPace', () => {
  it('tells of holders that never stop changing at once, then at twice the time each time: 4 times in 3.5 minutes', () => {
    let now = 0;
    const pace = new DescriptionPace(30, () => now);
    const at: number[] = [];
    for (; now <= 210; now += 1) {
      if (pace.waitMs('uid-1') > 0) continue;
      pace.told('uid-1', true);
      at.push(now);
    }
    expect(at).toEqual([0, 30, 90, 210]);
  });

  it('begins anew with what is more than holders, and after a rest', () => {
    let now = 0;
    const pace = new DescriptionPace(30, () => now);
    pace.told('uid-1', true);
    now = 30;
    pace.told('uid-1', true);
    expect(pace.waitMs('uid-1')).toBe(60);
    pace.told('uid-1', false);
    expect(pace.waitMs('uid-1')).toBe(30);
    now = 100;
    pace.told('uid-1', true);
    expect([pace.waitMs('uid-1'), pace.waitMs('uid-2')]).toEqual([30, 0]);
  });
});
