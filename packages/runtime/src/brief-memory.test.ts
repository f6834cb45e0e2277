import { beforeEach, describe, expect, it } from '@jest/globals';
import { BriefMemory } from './brief-memory.ts';

let now = 0;
let asked = 0;
beforeEach(() => {
  now = 0;
  asked = 0;
});
const ask = () => Promise.resolve((asked += 1));
const memory = (change: { forMs?: number; entries?: number } = {}) =>
  new BriefMemory<number>({ forMs: 2000, entries: 10, now: () => now, ...change });

describe('BriefMemory', () => {
  it('shares one question, remembers its answer for a moment, and forgets it', async () => {
    const answers = memory();
    expect(await Promise.all([answers.get('a', ask), answers.get('a', ask), answers.get('b', ask)])).toEqual([1, 1, 2]);
    now = 1999;
    expect(await answers.get('a', ask)).toBe(1);
    now = 2000;
    expect(await answers.get('a', ask)).toBe(3);
  });

  it('only shares running questions when answers are good for no time', async () => {
    const answers = memory({ forMs: 0 });
    expect(await Promise.all([answers.get('a', ask), answers.get('a', ask)])).toEqual([1, 1]);
    expect(await answers.get('a', ask)).toBe(2);
  });

  it('does not remember failures', async () => {
    const answers = memory();
    await expect(answers.get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await answers.get('a', async () => 7)).toBe(7);
  });

  it('keeps an answer until the time that it names', async () => {
    const answers = memory();
    const until = (answer: number) => now + answer * 100;
    expect(await answers.get('a', ask, { until })).toBe(1);
    now = 99;
    expect(await answers.get('a', ask, { until })).toBe(1);
    now = 100;
    expect(await answers.get('a', ask, { until })).toBe(2);
  });

  it('asks anew when it is told to, and remembers that', async () => {
    const answers = memory();
    await answers.get('a', ask);
    expect(await Promise.all([answers.get('a', ask, { renew: true }), answers.get('a', ask, { renew: true })])).toEqual(
      [2, 2],
    );
    expect(await answers.get('a', ask)).toBe(2);
  });

  it('forgets what was not used for longest when it is full', async () => {
    const answers = memory({ entries: 2 });
    for (const key of ['a', 'b', 'a', 'c']) await answers.get(key, ask);
    expect(asked).toBe(3);
    expect(await answers.get('a', ask)).toBe(1);
    expect(await answers.get('b', ask)).toBe(4);
  });
});
