import { describe, expect, it } from '@jest/globals';
import { settledWithin, within } from './bounded.ts';

describe('within', () => {
  it('gives what came in time, and throws what was thrown in time', async () => {
    expect(await within(Promise.resolve(1), 1_000)).toEqual({ late: false, value: 1 });
    await expect(within(Promise.reject(new Error('no')), 1_000)).rejects.toThrow('no');
    expect(await settledWithin(Promise.reject(new Error('no')), 1_000)).toBe(true);
  });

  it('is late for what never comes, and swallows what fails afterwards', async () => {
    const { promise, reject } = Promise.withResolvers<number>();
    expect(await within(promise, 1)).toEqual({ late: true });
    expect(await settledWithin(promise, 1)).toBe(false);
    expect(await within(promise, -1)).toEqual({ late: true });
    reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});
