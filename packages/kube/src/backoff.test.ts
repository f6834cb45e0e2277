import { describe, expect, it } from '@jest/globals';
import { backoffMs } from './backoff.ts';

const backoff = { firstMs: 200, maxMs: 30_000 };

describe('backoffMs', () => {
  it.each([
    [1, 0, 100],
    [1, 0.999, 200],
    [2, 0, 200],
    [5, 0.5, 2_400],
    [8, 0, 12_800],
    [9, 0, 15_000],
    [1_000, 0.999, 29_985],
    [0, 0, 100],
  ])('after %d failures, at random %d: %d ms', (failures, random, expected) => {
    expect(backoffMs(failures, backoff, random)).toBe(expected);
  });

  it('waits as long as was asked, up to its own bound', () => {
    expect([backoffMs(1, backoff, 0, 5_000), backoffMs(1, backoff, 0, 99_000)]).toEqual([5_000, 30_000]);
  });
});
