import { DelayedError, UnrecoverableError, WaitingError, Worker as BullWorker } from 'bullmq';
import type { Job as BullJob } from 'bullmq';
import { FIXED } from '@kuik/contracts';
import type { JobQueue } from '@kuik/contracts';
import { settledWithin } from '../bounded.ts';
import { CallHeld } from '../call-held.ts';
import { readPayload } from '../payload.ts';
import type { QueueReports, Work, Worker, WorkerOptions } from '../port.ts';
import { runJob } from '../run-job.ts';
import type { Ending } from '../run-job.ts';
import { RunningJobs } from '../running-jobs.ts';
import { SlotShare } from '../slot-share.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

/** How long aborted work may take to end before its job is left to its lock. */
const UNWIND_MS = 2_000;
const DISCONNECT_MS = 1_000;

/** BullMQ's worker, whose renewal of locks can be ended while work goes on. */
class Bull extends BullWorker<unknown, void> {
  dropLocks(): Promise<void> {
    return this.lockManager.close();
  }
}

/** Another worker died with it, or gave it back in the middle: BullMQ's progress is 0 until somebody tells of some. */
function wasBegun({ stalledCounter, progress }: BullJob): boolean {
  return stalledCounter > 0 || progress !== 0;
}

/** Takes jobs and has them worked on, `concurrency` at once. Connects in the background and reconnects for ever. */
export function createWorker<T>(
  queue: JobQueue<T>,
  connection: RedisSettings,
  work: Work<T>,
  options: WorkerOptions & QueueReports,
): Worker {
  return new RedisWorker(queue, connection, work, options);
}

class RedisWorker<T> implements Worker {
  readonly #queue: JobQueue<T>;
  readonly #work: Work<T>;
  readonly #reports: QueueReports;
  readonly #lockMs: number;
  readonly #link: RedisLink;
  readonly #bull: Bull;
  readonly #running = new RunningJobs();
  readonly #share: SlotShare<BullJob>;
  readonly #held: CallHeld<BullJob>;
  #closing: Promise<void> | undefined;

  constructor(queue: JobQueue<T>, connection: RedisSettings, work: Work<T>, options: WorkerOptions & QueueReports) {
    const { concurrency, lockMs = queue.lockMs, stallCheckMs = queue.stallCheckMs } = options;
    this.#queue = queue;
    this.#work = work;
    this.#reports = options;
    this.#lockMs = lockMs;
    this.#share = new SlotShare(concurrency);
    this.#held = new CallHeld(this.#share, (job) => void job.promote().catch(() => undefined));
    this.#link = new RedisLink(connection, { patient: true, purpose: `work ${queue.queue}` }, options);
    this.#bull = new Bull(queue.queue, (job, token) => this.#process(job, token ?? ''), {
      connection: this.#link.client,
      prefix: queue.prefix,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: stallCheckMs,
      maxStalledCount: FIXED.maxStalledCount,
      runRetryDelay: 1_000,
    });
    this.#bull.on('error', (error) => options.log?.debug('BullMQ', { error: error.message }));
    this.#bull.on('stalled', (id) => options.log?.warn('job of a silent worker taken back', { job: id }));
    // While Redis is away nobody can tell who has a job: it goes on, and learns afterwards.
    this.#bull.on('lockRenewalFailed', (ids) => this.#running.lose(ids));
  }

  active(): number {
    return this.#running.size;
  }

  ready(): boolean {
    return this.#closing === undefined && this.#link.ready;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#held.close();
    const drained = this.#bull.close();
    if (!(await this.#running.idleWithin(deadlineMs))) {
      this.#reports.log?.warn('jobs aborted at the drain deadline', { jobs: this.#running.size });
      this.#running.abortAll('the worker stops');
      await this.#running.idleWithin(UNWIND_MS);
    }
    // Without a connection BullMQ would wait for one.
    const connected = this.#link.ready;
    if (connected && this.#running.size === 0) await settledWithin(drained, DISCONNECT_MS);
    await this.#bull.dropLocks();
    this.#link.close();
    if (connected) await settledWithin(drained, DISCONNECT_MS);
  }

  async #process(job: BullJob, token: string): Promise<void> {
    // Taken in the moment in which the worker was told to stop.
    if (this.#closing !== undefined) return this.#settle(job, token, { do: 'return' });
    const read = readPayload(this.#queue, job.data);
    if (!read.ok) {
      this.#reports.ended?.('invalid', 0);
      this.#reports.log?.error('job with a payload that does not fit', { job: job.id, reason: read.reason });
      return this.#settle(job, token, { do: 'fail', reason: `payload does not fit: ${read.reason}` });
    }
    const key = this.#queue.paceKey(read.payload);
    if (!this.#share.enter(key)) {
      this.#reports.ended?.('held', 0);
      return this.#settle(job, token, { do: 'delay', ms: this.#share.hold(key, job, Date.now(), Math.random()) });
    }
    try {
      const running = this.#running.begin(job.id ?? '', wasBegun(job));
      if (running === undefined) {
        this.#reports.ended?.('held', 0);
        return await this.#settle(job, token, { do: 'delay', ms: this.#lockMs });
      }
      try {
        const record = (progress: object): void => {
          if (this.#link.ready) job.updateProgress(progress).catch(() => undefined);
        };
        const ending = await runJob(running, read.payload, this.#work, record, this.#reports);
        // Whoever has it next looks for what was done.
        if (ending.do === 'return' && this.#link.ready)
          await job.updateProgress({ step: 'given back' }).catch(() => undefined);
        await this.#settle(job, token, ending);
      } finally {
        this.#running.end(running);
      }
    } finally {
      this.#share.leave(key, Date.now());
      this.#held.freed(key);
    }
  }

  /** Tells BullMQ what becomes of the job: by returning (completed), or by the error that it knows. */
  async #settle(job: BullJob, token: string, ending: Ending): Promise<void> {
    if (ending.do === 'complete') return;
    if (ending.do === 'fail') throw new UnrecoverableError(ending.reason);
    try {
      if (ending.do === 'delay') await job.moveToDelayed(Date.now() + ending.ms, token);
      if (ending.do === 'return') await job.moveToWait(token);
    } catch (error) {
      // The lock is lost: the job is not ours to move, nor to fail.
      this.#reports.log?.warn('job left to its lock', { job: job.id, error });
    }
    throw ending.do === 'return' ? new WaitingError() : new DelayedError();
  }
}
