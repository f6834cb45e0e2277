import { expect, it } from '@jest/globals';
import { frontTeller } from './front-teller.ts';

it('tells the front when it moves, at most every so often, and nothing of what is read in less', () => {
  let now = 0;
  const told: number[] = [];
  const reached = frontTeller(
    (upTo) => told.push(upTo),
    () => now,
    25,
  );
  for (const [atMs, upTo] of [
    [0, 10],
    [24, 20],
    [25, 30],
    [30, 40],
    [49, 35],
    [50, 38],
    [60, 50],
    [61, 60],
  ] as const) {
    now = atMs;
    reached(upTo);
  }
  expect(told).toEqual([30, 50]);
});
