import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CallHeld } from './call-held.ts';
import { SlotShare } from './slot-share.ts';

describe('CallHeld', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  /** A worker of four slots, two of which one key may have, and jobs of that key that it holds. */
  function world(jobs: number) {
    const share = new SlotShare<number>(4);
    const called: number[] = [];
    const held = new CallHeld(share, (job) => called.push(job));
    share.enter('a');
    share.enter('a');
    for (let job = 1; job <= jobs; job += 1) share.hold('a', job, Date.now(), 1);
    return { share, called, held };
  }

  it('calls one job for each slot that gets free', () => {
    const { share, called, held } = world(5);
    for (const expected of [[1], [1, 2]]) {
      share.leave('a', Date.now());
      held.freed('a');
      expect(called).toEqual(expected);
      share.enter('a');
    }
  });

  it('goes on calling when others took those that it called, and no more than it has room for', () => {
    const { share, called, held } = world(5);
    share.leave('a', Date.now());
    held.freed('a');
    expect(called).toEqual([1]);
    jest.advanceTimersByTime(250);
    expect(called).toEqual([1, 2]);
    share.leave('a', Date.now());
    jest.advanceTimersByTime(250);
    expect(called).toEqual([1, 2, 3, 4]);
    jest.advanceTimersByTime(500);
    expect(called).toEqual([1, 2, 3, 4, 5]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('calls nobody while its slots are taken, nor by itself once it is closed', () => {
    const { share, called, held } = world(5);
    held.freed('a');
    jest.advanceTimersByTime(300);
    expect(called).toEqual([]);
    held.close();
    share.leave('a', Date.now());
    jest.advanceTimersByTime(300);
    expect([called, jest.getTimerCount()]).toEqual([[], 0]);
  });
});
