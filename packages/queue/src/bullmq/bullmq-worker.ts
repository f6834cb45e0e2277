import { DEFAULTS } from '@kuik/contracts';
import type { JobQueue } from '@kuik/contracts';
import { DelayedError, UnrecoverableError, Worker as BullWorker } from 'bullmq';
import type { Job as BullJob } from 'bullmq';
import { within } from '../deadline.ts';
import { checkPayload } from '../payload.ts';
import type { Job, JobEnd, Outcome, QueueReports, Worker, WorkerOptions } from '../port.ts';
import type { RedisLink } from '../redis/redis-link.ts';
import { Slots } from '../slots.ts';

/** How long aborted handlers may take to return before their locks are left to expire. */
const ABORT_MS = 1000;

interface Active {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Takes jobs of one queue and hands each to `handle`; what it says becomes of the job. */
export class BullQueueWorker<T> implements Worker {
  readonly #contract: JobQueue<T>;
  readonly #handle: (job: Job<T>) => Promise<Outcome>;
  readonly #reports: QueueReports;
  readonly #slots: Slots;
  readonly #active = new Map<string, Active>();
  readonly #lost = new Set<string>();
  readonly #worker: BullWorker;
  #draining = false;
  #closing: Promise<void> | undefined;

  constructor(
    link: RedisLink,
    contract: JobQueue<T>,
    handle: (job: Job<T>) => Promise<Outcome>,
    options: WorkerOptions,
    reports: QueueReports,
  ) {
    this.#contract = contract;
    this.#handle = handle;
    this.#reports = reports;
    this.#slots = new Slots(options.concurrency);
    this.#worker = new BullWorker(contract.queue, (job, token) => this.#process(job, token ?? ''), {
      connection: link.connect({ maxRetriesPerRequest: null }),
      prefix: contract.prefix,
      concurrency: options.concurrency,
      lockDuration: options.lockMs ?? contract.lockMs,
      stalledInterval: options.stallCheckMs ?? contract.stallCheckMs,
      // The second SIGKILL of a worker must not fail the job.
      maxStalledCount: DEFAULTS.copy.maxStalledCount,
      runRetryDelay: 1000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    this.#worker.on('error', (error) => reports.log?.debug('queue worker error', { error }));
    this.#worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) {
        this.#lost.add(id);
        this.#active.get(id)?.abort.abort(new Error('the lock of this job is lost'));
      }
    });
    this.#worker.on('failed', (job, error) =>
      reports.log?.warn('job failed', { queue: contract.queue, job: job?.id, reason: error.message }),
    );
  }

  active(): number {
    return this.#active.size;
  }

  ready(): boolean {
    return !this.#draining && this.#worker.isRunning();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#drain(deadlineMs);
    return this.#closing;
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    await within(ABORT_MS, this.#worker.pause(true), () => undefined).catch(() => undefined);
    const ended = (): Promise<void> =>
      Promise.all([...this.#active.values()].map((active) => active.ended)).then(() => undefined);
    await within(deadlineMs, ended(), () => undefined);
    for (const { abort } of this.#active.values()) abort.abort(new Error('the worker is closing'));
    await within(ABORT_MS, ended(), () => undefined);
    const clean = this.#active.size === 0;
    await within(ABORT_MS, this.#worker.close(!clean), () => undefined).catch(() => undefined);
    // With Redis away a close waits for it; the connection is ended under it.
    await within(ABORT_MS, this.#worker.disconnect(), () => undefined).catch(() => undefined);
  }

  async #process(job: BullJob, token: string): Promise<void> {
    const started = performance.now();
    const end = (how: JobEnd): void =>
      this.#reports.onJob?.(how, { ms: performance.now() - started, waitedMs: Date.now() - job.timestamp });
    if (this.#draining) return this.#putBack(job, token, 0, 'aborted', end);
    let payload: T;
    try {
      payload = checkPayload(this.#contract, job.data);
    } catch (error) {
      end('invalid');
      throw new UnrecoverableError((error as Error).message);
    }
    const key = this.#contract.paceKey(payload);
    const waitMs = this.#slots.enter(key, Date.now());
    if (waitMs !== undefined) return this.#putBack(job, token, waitMs, 'paced', end);
    const id = job.id!;
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#active.set(id, { abort, ended });
    try {
      const outcome = await this.#outcome(job, payload, abort.signal);
      await this.#settle(job, token, outcome, abort.signal, end);
    } finally {
      this.#slots.leave(key);
      this.#active.delete(id);
      this.#lost.delete(id);
      resolve();
    }
  }

  async #outcome(job: BullJob, payload: T, signal: AbortSignal): Promise<Outcome> {
    const progress = async (told: { bytesDone: number; bytesTotal: number; step: string }): Promise<void> => {
      await within(ABORT_MS, job.updateProgress(told), () => undefined).catch(() => undefined);
    };
    try {
      return await this.#handle({ id: job.id!, payload, signal, progress });
    } catch (error) {
      return { do: 'fail', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async #settle(
    job: BullJob,
    token: string,
    outcome: Outcome,
    signal: AbortSignal,
    end: (how: JobEnd) => void,
  ): Promise<void> {
    if (this.#lost.has(job.id!)) {
      end('lost');
      throw new Error('the lock of this job is lost');
    }
    if (outcome.do === 'done') return end('done');
    // An aborted handler did not decide: whoever takes the job next does.
    if (signal.aborted) return this.#putBack(job, token, 0, 'aborted', end);
    if (outcome.do === 'park') return this.#putBack(job, token, outcome.afterMs, 'parked', end);
    end('failed');
    throw new UnrecoverableError(outcome.reason);
  }

  /** Back into the queue without spending an attempt. */
  async #putBack(
    job: BullJob,
    token: string,
    afterMs: number,
    how: JobEnd,
    end: (how: JobEnd) => void,
  ): Promise<never> {
    await job.moveToDelayed(Date.now() + Math.max(0, Math.round(afterMs)), token);
    end(how);
    throw new DelayedError();
  }
}
