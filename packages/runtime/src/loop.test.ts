import { describe, expect, it } from '@jest/globals';
import { backoffMs } from './backoff.ts';
import { wait } from './clock.ts';
import { loop } from './loop.ts';
import type { Round } from './loop.ts';

describe('backoffMs', () => {
  it.each([
    [1, 0.999, 99],
    [2, 0.5, 100],
    [3, 0.999, 399],
    [4, 0.999, 499],
    [1000, 0.999, 499],
    [5, 0, 0],
  ])('after %d failures at %d', (failures, random, ms) => {
    expect(backoffMs(failures, { firstMs: 100, maxMs: 500 }, random)).toBe(ms);
  });
});

describe('wait', () => {
  it('tells whether the time passed', async () => {
    const ending = new AbortController();
    const long = wait(60_000, ending.signal);
    expect(await wait(1, ending.signal)).toBe(true);
    ending.abort();
    expect(await long).toBe(false);
    expect(await wait(60_000, ending.signal)).toBe(false);
  });
});

describe('loop', () => {
  async function rounds(
    tick: (n: number, signal: AbortSignal) => Promise<void | { afterMs: number }>,
    until: number,
    deadlineMs = 1000,
  ): Promise<Round[]> {
    const ending = new AbortController();
    const seen: Round[] = [];
    await loop({
      name: 'test',
      signal: ending.signal,
      everyMs: 1,
      deadlineMs,
      backoff: { firstMs: 4, maxMs: 4 },
      random: () => 0.99,
      tick: (signal) => tick(seen.length + 1, signal),
      onRound: (round) => {
        seen.push(round);
        if (seen.length === until) ending.abort();
      },
    });
    return seen;
  }

  it('waits the usual time after a good round, what the round says, and backs off after a bad one', async () => {
    const seen = await rounds(async (n) => {
      if (n === 2) return { afterMs: 2 };
      if (n === 3 || n === 4) throw new Error('bad');
      return undefined;
    }, 5);
    expect(seen.map(({ nextInMs, failures }) => [nextInMs, failures])).toEqual([
      [1, 0],
      [2, 0],
      [3, 1],
      [3, 2],
      [1, 0],
    ]);
    expect(seen[2]!.error).toEqual(new Error('bad'));
    expect('error' in seen[0]!).toBe(false);
  });

  it('ends a round at its deadline and goes on', async () => {
    let aborted = false;
    const seen = await rounds(
      (n, signal) => {
        signal.addEventListener('abort', () => (aborted = true));
        return n === 1 ? new Promise(() => undefined) : Promise.resolve();
      },
      2,
      5,
    );
    expect(seen[0]!.error).toMatchObject({ code: 'deadline' });
    expect(aborted).toBe(true);
    expect('error' in seen[1]!).toBe(false);
  });
});
