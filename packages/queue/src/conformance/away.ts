import { describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import { copy, gate } from './room.ts';
import type { Room } from './room.ts';

/** What each does without Redis. */
export function describeAway(room: Room): void {
  describe('with Redis away', () => {
    it('nothing hangs, and all of it works again afterwards', async () => {
      const { work, startedCount, end, uids } = gate();
      const { producer, addWorker, missed, empty } = room.world(work);
      const worker = addWorker();
      const pacer = room.keep(
        room.bed.createPacer({ missed: (what) => missed.push(what), pace: { perSecond: 1, burst: 1 } }),
      );
      const times = room.keep(room.bed.createTimeStore({ missed: (what) => missed.push(what) }));
      const leases = room.keep(room.bed.createTransferLeases({ missed: (what) => missed.push(what) }));
      await times.set('checked', [['u1', 7]]);
      await leases.note('upload', 'there');
      let returns = 0;
      producer.onReturn(() => (returns += 1));
      await producer.enqueue(copy('a'));
      await startedCount(1);
      await room.bed.goAway();
      await until(() => !worker.ready(), { what: 'the worker to see it' });
      const startedMs = performance.now();
      expect(await producer.enqueue(copy('b'), { timeoutMs: 300 })).toBe(false);
      await expect(producer.counts({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'unavailable', retry: true });
      expect(await pacer.take({ host: 'x.example' })).toBe(0);
      expect(await pacer.take({ host: 'x.example' })).toBe(0);
      await pacer.park({ host: 'y.example' }, Date.now() + 60_000, 'RateLimited');
      expect(await pacer.take({ host: 'y.example' })).toBeGreaterThan(50_000);
      await pacer.told({ host: 'x.example' }, { identity: 'i', remaining: 0 }, { background: true });
      await expect(pacer.facts()).rejects.toMatchObject({ code: 'unavailable', retry: true });
      await expect(times.get('checked', ['u1'])).rejects.toMatchObject({ code: 'unavailable' });
      expect([await leases.claim('blob', { address: 'a', spool: 's' }), await leases.noted('upload')]).toEqual([
        undefined,
        undefined,
      ]);
      expect(await leases.whereIs('s')).toBeUndefined();
      await leases.release('blob', 'a', 'landed');
      expect(performance.now() - startedMs).toBeLessThan(10_000);
      expect(returns).toBe(0);
      expect(new Set(missed)).toEqual(new Set(['enqueue', 'counts', 'take', 'park', 'quota', 'times', 'transfers']));

      end('a');
      await room.bed.comeBack();
      await until(() => worker.ready(), { what: 'the worker to be back', timeoutMs: 15_000 });
      expect(await producer.enqueue(copy('c'))).toBe(true);
      expect(returns).toBe(1);
      await until(() => uids().includes('c'), { what: 'the new job', timeoutMs: 15_000 });
      expect(await times.get('checked', ['u1'])).toEqual([7]);
      await until(async () => (await leases.claim('blob', { address: 'a', spool: 's' }))?.owner === 'a', {
        what: 'the leases to be asked',
      });
      expect(await leases.noted('upload')).toBe('there');
      end('c');
      for (const uid of uids()) end(uid);
      await empty();
    }, 60_000);
  });
}
