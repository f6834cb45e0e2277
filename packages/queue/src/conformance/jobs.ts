import { describe, expect, it } from '@jest/globals';
import type { CopyJob, JobQueue } from '@kuik/contracts';
import { until } from '@kuik/testbed';
import type { Outcome } from '../port.ts';
import { copy, DONE, gate } from './room.ts';
import type { Room } from './room.ts';

/** What becomes of jobs. */
export function describeJobs(room: Room): void {
  describe('jobs', () => {
    it('are worked on once each, with their payload, and leave nothing', async () => {
      const seen: CopyJob[] = [];
      const { producer, addWorker, ends, empty } = room.world(async (job) => {
        await job.progress({ bytesDone: 1, bytesTotal: 2, step: 'blobs' });
        seen.push(job.payload);
        return DONE;
      });
      for (const uid of ['a', 'b', 'c']) expect(await producer.enqueue(copy(uid))).toBe(true);
      addWorker();
      await until(() => seen.length === 3, { what: 'three jobs' });
      await empty();
      expect(seen).toEqual([copy('a'), copy('b'), copy('c')]);
      expect(ends).toEqual(['done', 'done', 'done']);
    });

    it('are one for each deduplication id while they wait', async () => {
      const { work, startedCount, uids, end } = gate();
      const { producer, addWorker, empty } = room.world(work);
      for (const uid of ['a', 'a', 'b', 'a']) expect(await producer.enqueue(copy(uid))).toBe(true);
      expect(await producer.counts()).toEqual({ waiting: 2, active: 0, delayed: 0 });
      addWorker();
      await startedCount(2);
      end('a');
      end('b');
      await empty();
      expect(uids()).toEqual(['a', 'b']);
    });

    it.each([
      ['done', DONE],
      ['failed', { do: 'fail', reason: 'no' } satisfies Outcome],
    ])('raised while active run once more after it %s, with what was raised last', async (_, outcome) => {
      const { work, startedCount, started, end } = gate();
      const { producer, addWorker, empty } = room.world(work);
      addWorker();
      await producer.enqueue(copy('a'));
      await startedCount(1);
      for (const reason of ['Second', 'Third']) await producer.enqueue({ ...copy('a'), reason });
      expect(started).toHaveLength(1);
      end('a', outcome);
      await startedCount(2);
      expect(started[1]?.payload.reason).toBe('Third');
      end('a');
      await empty();
      expect(started).toHaveLength(2);
    });

    it('may start later', async () => {
      const { work, startedCount, end } = gate();
      const { producer, addWorker, empty } = room.world(work);
      addWorker();
      const startedMs = performance.now();
      await producer.enqueue(copy('a'), { delayMs: 300 });
      expect(await producer.counts()).toMatchObject({ delayed: 1 });
      await startedCount(1);
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(290);
      end('a');
      await empty();
    });

    it('that are parked come back after that time, neither lost nor doubled', async () => {
      let runs = 0;
      const times: number[] = [];
      const { producer, addWorker, ends, empty } = room.world(async () => {
        times.push(performance.now());
        return (runs += 1) < 4 ? { do: 'park', afterMs: 150, reason: 'HostPaced' } : DONE;
      });
      addWorker();
      addWorker();
      await producer.enqueue(copy('a'));
      await until(() => runs >= 1, { what: 'the first run' });
      await producer.enqueue(copy('a'));
      await until(() => runs === 4, { what: 'four runs' });
      await empty();
      const first4 = times.slice(0, 4);
      expect(first4.slice(1).every((time, index) => time - first4[index]! >= 145)).toBe(true);
      expect(ends.filter((end) => end !== 'done')).toEqual(['parked', 'parked', 'parked']);
      expect(runs - 4).toBeLessThanOrEqual(1);
    });

    it.each([
      ['say so', (): Outcome => ({ do: 'fail', reason: 'no' })],
      [
        'throw',
        (): Outcome => {
          throw new Error('no');
        },
      ],
    ])('that %s have failed, and may be raised again', async (_, outcome) => {
      let runs = 0;
      const { producer, addWorker, ends, empty } = room.world(async () => ((runs += 1) === 1 ? outcome() : DONE));
      addWorker();
      await producer.enqueue(copy('a'));
      await until(() => ends.length === 1, { what: 'the failure' });
      await empty();
      await producer.enqueue(copy('a'));
      await until(() => ends.length === 2, { what: 'the second run' });
      expect(ends).toEqual(['failed', 'done']);
    });

    it.each([
      [4, 2],
      [5, 3],
      [1, 1],
    ])('of one pace key hold of %i slots at most %i, others get through', async (concurrency, most) => {
      const { work, startedCount, started, uids, end } = gate();
      const { producer, addWorker, ends, empty } = room.world(work, { concurrency });
      const same = Array.from({ length: concurrency + 2 }, (_, index) => `same${index}`);
      for (const uid of same) await producer.enqueue(copy(uid, 'busy.example'));
      if (concurrency > 1) await producer.enqueue(copy('other'));
      const worker = addWorker();
      await startedCount(most + (concurrency > 1 ? 1 : 0));
      if (concurrency > 1) {
        await until(() => ends.filter((end) => end === 'held').length >= same.length - most, { what: 'held jobs' });
        expect(uids()).toContain('other');
      }
      expect(worker.active()).toBe(most + (concurrency > 1 ? 1 : 0));
      if (concurrency > 1) end('other');
      for (let ended = 0; ended < same.length; ended += 1) {
        await until(() => started.filter(({ payload }) => payload.uid !== 'other').length > ended, { what: 'a job' });
        expect(worker.active()).toBeLessThanOrEqual(most + 1);
        end(started.filter(({ payload }) => payload.uid !== 'other')[ended]!.payload.uid);
      }
      await empty();
      expect(uids().toSorted()).toEqual([...same, ...(concurrency > 1 ? ['other'] : [])].toSorted());
    });

    it('are refused when they do not fit', async () => {
      const { producer } = room.world(async () => DONE);
      await expect(producer.enqueue({ ...copy('a'), host: 1 as unknown as string })).rejects.toMatchObject({
        code: 'invalid-payload',
        message: expect.stringContaining('host'),
      });
      await expect(producer.enqueue(copy('a:b'))).rejects.toMatchObject({ code: 'invalid-payload' });
      await expect(producer.enqueue(copy(''))).rejects.toMatchObject({ code: 'invalid-payload' });
      expect(await producer.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
    });

    it('of an older shape that do not fit any more end as invalid', async () => {
      const { queue, producer, addWorker, ends, empty } = room.world(async () => DONE);
      const older = { ...queue, schema: { safeParse: (data: unknown) => ({ success: true, data }) } };
      const old = room.keep(room.bed.createProducer(older as unknown as JobQueue<{ uid: string }>));
      await old.enqueue({ uid: 'a' });
      await producer.enqueue(copy('b'));
      addWorker();
      await until(() => ends.length === 2, { what: 'both jobs' });
      expect(ends.toSorted()).toEqual(['done', 'invalid']);
      await empty();
    });
  });
}
