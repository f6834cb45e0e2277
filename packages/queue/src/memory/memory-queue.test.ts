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
    expect([await pacer.take({ host: 'h' }), await pacer.take({ host: 'h' }), await pacer.take({ host: 'h' })]).toEqual(
      [0, 1_000, 2_000],
    );
    now += 1_000;
    expect(await pacer.take({ host: 'h' })).toBe(0);
    await pacer.park({ host: 'h' }, now + 5_000, 'RateLimited');
    expect([await pacer.parkedUntil({ host: 'h' }), await pacer.take({ host: 'h' })]).toEqual([7_000, 5_000]);
    now += 5_000;
    expect([await pacer.parkedUntil({ host: 'h' }), await pacer.take({ host: 'h' })]).toEqual([undefined, 0]);
  });
});
