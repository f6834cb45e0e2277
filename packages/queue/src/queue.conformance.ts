/* eslint-disable @typescript-eslint/require-await -- test code: work of asynchronous ports */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { COPY_QUEUE } from '@kuik/contracts';
import type { CopyJob, JobQueue } from '@kuik/contracts';
import { until } from '@kuik/testbed';
import type {
  Job,
  JobEnd,
  Missed,
  Outcome,
  Pacer,
  PacerOptions,
  Producer,
  QueueReports,
  TimeStore,
  Work,
  Worker,
  WorkerOptions,
} from './port.ts';

/** A place where the parts of a queue meet; made by the adapter's and by the twin's own test. */
export interface Bed {
  createProducer<T>(queue: JobQueue<T>, reports?: QueueReports): Producer<T>;
  createWorker<T>(queue: JobQueue<T>, work: Work<T>, options: WorkerOptions & QueueReports): Worker;
  createPacer(options?: PacerOptions & QueueReports): Pacer;
  createTimeStore(reports?: QueueReports): TimeStore;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

export const DONE: Outcome = { do: 'done' };
export const copy = (uid: string, host = `${uid}.example`): CopyJob => ({
  name: `n-${uid}`,
  uid,
  reference: `${host}/app:1`,
  host,
  reason: 'NotCached',
});

let queues = 0;
/** A queue that no other test uses. */
export const freshQueue = (): JobQueue<CopyJob> => ({ ...COPY_QUEUE, queue: `copy-${process.pid}-${(queues += 1)}` });

/** Work that is recorded and ends when the test says so. */
export function gate() {
  const started: Job<CopyJob>[] = [];
  const waiting = new Map<string, (outcome: Outcome) => void>();
  const work: Work<CopyJob> = (job) => {
    started.push(job);
    return new Promise((resolve, reject) => {
      waiting.set(job.payload.uid, resolve);
      job.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  };
  return {
    work,
    started,
    uids: () => started.map(({ payload }) => payload.uid),
    end: (uid: string, outcome: Outcome = DONE) => waiting.get(uid)!(outcome),
    startedCount: (count: number) => until(() => started.length >= count, { what: `${count} jobs to start` }),
  };
}

/** What both the adapter and its twin do. */
export function queueConformance(name: string, makeBed: () => Promise<Bed>): void {
  describe(name, () => {
    let bed: Bed;
    const open: (() => Promise<void>)[] = [];
    beforeAll(async () => {
      bed = await makeBed();
    });
    afterEach(async () => {
      for (const close of open.splice(0).reverse()) await close();
    });
    afterAll(() => bed.stop());

    function world(work: Work<CopyJob>, options: Partial<WorkerOptions> = {}) {
      const queue = freshQueue();
      const ends: JobEnd[] = [];
      const missed: Missed[] = [];
      const producer = bed.createProducer(queue, { missed: (what) => missed.push(what) });
      open.push(() => producer.close());
      const addWorker = (own: Work<CopyJob> = work): Worker => {
        const ended = (end: JobEnd): unknown => ends.push(end);
        const worker = bed.createWorker(queue, own, { concurrency: 4, ...options, ended });
        open.push(() => worker.close(0));
        return worker;
      };
      const empty = () =>
        until(async () => Object.values(await producer.counts()).every((count) => count === 0), {
          what: 'the queue to be empty',
        });
      return { queue, producer, ends, missed, addWorker, empty };
    }

    describe('jobs', () => {
      it('are worked on once each, with their payload, and leave nothing', async () => {
        const seen: CopyJob[] = [];
        const { producer, addWorker, ends, empty } = world(async (job) => {
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
        const { producer, addWorker, empty } = world(work);
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
        const { producer, addWorker, empty } = world(work);
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
        const { producer, addWorker, empty } = world(work);
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
        const { producer, addWorker, ends, empty } = world(async () => {
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
        const { producer, addWorker, ends, empty } = world(async () => ((runs += 1) === 1 ? outcome() : DONE));
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
        const { producer, addWorker, ends, empty } = world(work, { concurrency });
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
        const { producer } = world(async () => DONE);
        await expect(producer.enqueue({ ...copy('a'), host: 1 as unknown as string })).rejects.toMatchObject({
          code: 'invalid-payload',
          message: expect.stringContaining('host'),
        });
        await expect(producer.enqueue(copy('a:b'))).rejects.toMatchObject({ code: 'invalid-payload' });
        await expect(producer.enqueue(copy(''))).rejects.toMatchObject({ code: 'invalid-payload' });
        expect(await producer.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
      });

      it('of an older shape that do not fit any more end as invalid', async () => {
        const { queue, producer, addWorker, ends, empty } = world(async () => DONE);
        const older = { ...queue, schema: { safeParse: (data: unknown) => ({ success: true, data }) } };
        const old = bed.createProducer(older as unknown as JobQueue<{ uid: string }>);
        open.push(() => old.close());
        await old.enqueue({ uid: 'a' });
        await producer.enqueue(copy('b'));
        addWorker();
        await until(() => ends.length === 2, { what: 'both jobs' });
        expect(ends.toSorted()).toEqual(['done', 'invalid']);
        await empty();
      });
    });

    describe('close', () => {
      it('lets running jobs finish and takes no more', async () => {
        const { work, startedCount, uids, end } = gate();
        const { producer, addWorker, ends } = world(work);
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
        const { producer, addWorker, ends, empty } = world(first.work);
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

    describe('pace', () => {
      const pacer = (options: PacerOptions & QueueReports = {}): Pacer => {
        const made = bed.createPacer(options);
        open.push(() => made.close());
        return made;
      };
      let hosts = 0;
      const freshHost = (): string => `h${process.pid}-${(hosts += 1)}.example:5000`;

      it('gives the burst, then tells each who asks a time of its own', async () => {
        const pace = { perSecond: 5, burst: 3 };
        const [one, two] = [pacer({ pace }), pacer({ pace })];
        const host = freshHost();
        expect([await one.take(host), await two.take(host), await one.take(host)]).toEqual([0, 0, 0]);
        const waits = [await two.take(host), await one.take(host), await two.take(host)];
        for (const [index, wait] of waits.entries()) {
          expect(wait).toBeGreaterThan(index * 200 + 50);
          expect(wait).toBeLessThanOrEqual((index + 1) * 200 + 1);
        }
        expect(await one.take(freshHost())).toBe(0);
        await until(async () => (await one.take(host)) === 0, { what: 'a token to come back', timeoutMs: 2_000 });
      });

      it('is one of its own for some hosts', async () => {
        const host = freshHost();
        const paced = pacer({ pace: { perSecond: 1, burst: 1 }, hosts: { [host]: { perSecond: 1, burst: 2 } } });
        expect([await paced.take(host), await paced.take(host)]).toEqual([0, 0]);
        expect(await paced.take(host)).toBeGreaterThan(0);
      });

      it('is nothing while a host is parked, until the later of two times', async () => {
        const [one, two] = [pacer(), pacer()];
        const host = freshHost();
        expect(await two.parkedUntil(host)).toBeUndefined();
        const untilMs = Date.now() + 60_000;
        await one.park(host, untilMs, 'RateLimited');
        await two.park(host, untilMs - 30_000, 'RateLimited');
        await one.park(host, Date.now() - 1, 'Past');
        for (const each of [one, two, pacer()]) {
          expect(Math.abs((await each.parkedUntil(host))! - untilMs)).toBeLessThan(1_000);
          expect(await each.take(host)).toBeGreaterThan(58_000);
        }
        await two.park(host, untilMs + 30_000, 'RateLimited');
        expect(Math.abs((await one.parkedUntil(host))! - untilMs - 30_000)).toBeLessThan(1_000);
        expect(await one.take(freshHost())).toBe(0);
      });

      it('goes on after a park ended', async () => {
        const [one, two] = [pacer(), pacer()];
        const host = freshHost();
        await one.park(host, Date.now() + 200, 'RateLimited');
        expect(await two.take(host)).toBeGreaterThan(0);
        await until(async () => (await two.take(host)) === 0, { what: 'the park to end', timeoutMs: 2_000 });
        expect(await two.parkedUntil(host)).toBeUndefined();
      });
    });

    describe('times', () => {
      it('are kept by kind and id, read in the order asked, and forgotten', async () => {
        const [one, two] = [bed.createTimeStore(), bed.createTimeStore()];
        open.push(
          () => one.close(),
          () => two.close(),
        );
        await one.set(
          'checked',
          Array.from({ length: 2_500 }, (_, id) => [`u${id}`, 1_000_000_000_000 + id] as const),
        );
        await one.set('pulled', new Map([['u1', 7]]));
        await one.set('checked', [['u2', 5]]);
        expect(await two.get('checked', ['u2499', 'nobody', 'u2', 'u1'])).toEqual([
          1_000_000_002_499,
          undefined,
          5,
          1_000_000_000_001,
        ]);
        expect(await two.get('pulled', ['u2', 'u1'])).toEqual([undefined, 7]);
        await two.forget('checked', ['u1', 'nobody']);
        expect(await one.get('checked', ['u1', 'u2'])).toEqual([undefined, 5]);
        expect(await one.get('pulled', ['u1'])).toEqual([7]);
        for (const nothing of [one.set('checked', []), one.forget('checked', [])]) await nothing;
        expect(await one.get('checked', [])).toEqual([]);
      });
    });

    describe('with Redis away', () => {
      it('nothing hangs, and all of it works again afterwards', async () => {
        const { work, startedCount, end, uids } = gate();
        const { producer, addWorker, missed, empty } = world(work);
        const worker = addWorker();
        const pacer = bed.createPacer({ missed: (what) => missed.push(what), pace: { perSecond: 1, burst: 1 } });
        const times = bed.createTimeStore({ missed: (what) => missed.push(what) });
        open.push(
          () => pacer.close(),
          () => times.close(),
        );
        await times.set('checked', [['u1', 7]]);
        await producer.enqueue(copy('a'));
        await startedCount(1);
        await bed.goAway();
        await until(() => !worker.ready(), { what: 'the worker to see it' });
        const startedMs = performance.now();
        expect(await producer.enqueue(copy('b'), { timeoutMs: 300 })).toBe(false);
        await expect(producer.counts({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'unavailable', retry: true });
        expect(await pacer.take('x.example')).toBe(0);
        expect(await pacer.take('x.example')).toBe(0);
        await pacer.park('y.example', Date.now() + 60_000, 'RateLimited');
        expect(await pacer.take('y.example')).toBeGreaterThan(50_000);
        await expect(times.get('checked', ['u1'])).rejects.toMatchObject({ code: 'unavailable' });
        expect(performance.now() - startedMs).toBeLessThan(8_000);
        expect(new Set(missed)).toEqual(new Set(['enqueue', 'counts', 'take', 'park', 'times']));

        end('a');
        await bed.comeBack();
        await until(() => worker.ready(), { what: 'the worker to be back', timeoutMs: 15_000 });
        expect(await producer.enqueue(copy('c'))).toBe(true);
        await until(() => uids().includes('c'), { what: 'the new job', timeoutMs: 15_000 });
        expect(await times.get('checked', ['u1'])).toEqual([7]);
        end('c');
        for (const uid of uids()) end(uid);
        await empty();
      }, 60_000);
    });
  });
}
