import { describe, expect, it } from '@jest/globals';
import { queueConformance } from '../queue.conformance.ts';
import { memoryQueue } from './memory-queue.ts';

queueConformance('memoryQueue', async () => {
  const queue = memoryQueue();
  return {
    ...queue,
    goAway: async () => queue.setAway(true),
    comeBack: async () => queue.setAway(false),
    stop: async () => undefined,
  };
});

describe('memoryQueue with a clock', () => {
  it('paces and parks by it', async () => {
    let now = 1_000;
    const pacer = memoryQueue({ now: () => now }).createPacer({ pace: { perSecond: 1, burst: 1 } });
    expect([await pacer.take('h'), await pacer.take('h'), await pacer.take('h')]).toEqual([0, 1_000, 2_000]);
    now += 1_000;
    expect(await pacer.take('h')).toBe(0);
    await pacer.park('h', now + 5_000, 'RateLimited');
    expect([await pacer.parkedUntil('h'), await pacer.take('h')]).toEqual([7_000, 5_000]);
    now += 5_000;
    expect([await pacer.parkedUntil('h'), await pacer.take('h')]).toEqual([undefined, 0]);
  });
});
