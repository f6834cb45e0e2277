import { describe, expect, it } from '@jest/globals';
import { copy, gate } from './room.ts';
import type { Room } from './room.ts';

/** How a worker stops. */
export function describeClosing(room: Room): void {
  describe('close', () => {
    it('lets running jobs finish and takes no more', async () => {
      const { work, startedCount, uids, end } = gate();
      const { producer, addWorker, ends } = room.world(work);
      const worker = addWorker();
      await producer.enqueue(copy('a'));
      await startedCount(1);
      const closed = worker.close(5_000);
      expect(worker.ready()).toBe(false);
      await producer.enqueue(copy('b'));
      end('a');
      await closed;
      expect(uids()).toEqual(['a']);
      expect(ends).toEqual(['done']);
      expect(await producer.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
    });

    it('aborts at the deadline, and another worker has the job at once', async () => {
      const first = gate();
      const { producer, addWorker, ends, empty } = room.world(first.work);
      const worker = addWorker();
      await producer.enqueue(copy('a'));
      await first.startedCount(1);
      const second = gate();
      const startedMs = performance.now();
      await Promise.all([worker.close(200), worker.close(200)]);
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(190);
      expect(performance.now() - startedMs).toBeLessThan(1_500);
      expect(first.started[0]?.signal.aborted).toBe(true);
      addWorker(second.work);
      await second.startedCount(1);
      expect(performance.now() - startedMs).toBeLessThan(2_500);
      expect(ends).toEqual(['interrupted']);
      second.end('a');
      await empty();
    });
  });
}
