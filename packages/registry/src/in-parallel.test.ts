import { describe, expect, it } from '@jest/globals';
import { inParallel } from './in-parallel.ts';

describe('inParallel', () => {
  it('keeps order and the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, (running += 1));
      for (let turn = 0; turn < item; turn += 1) await Promise.resolve();
      running -= 1;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it('throws the first failure after what runs has ended, and starts nothing new', async () => {
    const started: number[] = [];
    const ended: number[] = [];
    const failing = inParallel([1, 2, 3, 4], 2, async (item) => {
      started.push(item);
      if (item === 1) throw new Error('one');
      await new Promise((resolve) => setImmediate(resolve));
      ended.push(item);
    });
    await expect(failing).rejects.toThrow('one');
    expect([started, ended]).toEqual([[1, 2], [2]]);
  });

  it('does nothing with nothing', async () => {
    expect(await inParallel([], 3, () => Promise.reject(new Error('never')))).toEqual([]);
  });
});
