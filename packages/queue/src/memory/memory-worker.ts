import type { JobQueue } from '@kuik/contracts';
import { CallHeld } from '../call-held.ts';
import { readPayload } from '../payload.ts';
import type { QueueReports, Work, Worker, WorkerOptions } from '../port.ts';
import { runJob } from '../run-job.ts';
import type { Ending } from '../run-job.ts';
import { RunningJobs } from '../running-jobs.ts';
import { SlotShare } from '../slot-share.ts';
import type { MemoryJob, MemoryJobs } from './memory-jobs.ts';

const UNWIND_MS = 2_000;

/** The twin of the Redis worker, over jobs in memory. */
export class MemoryWorker<T> implements Worker {
  readonly #queue: JobQueue<T>;
  readonly #jobs: MemoryJobs;
  readonly #work: Work<T>;
  readonly #options: WorkerOptions & QueueReports;
  readonly #running = new RunningJobs();
  readonly #share: SlotShare<MemoryJob>;
  readonly #held: CallHeld<MemoryJob>;
  readonly #stopListening: () => void;
  #closing: Promise<void> | undefined;

  constructor(queue: JobQueue<T>, jobs: MemoryJobs, work: Work<T>, options: WorkerOptions & QueueReports) {
    this.#queue = queue;
    this.#jobs = jobs;
    this.#work = work;
    this.#options = options;
    this.#share = new SlotShare(options.concurrency);
    this.#held = new CallHeld(this.#share, (job) => jobs.promote(job));
    this.#stopListening = jobs.onWork(() => this.#takeAll());
    queueMicrotask(() => this.#takeAll());
  }

  active(): number {
    return this.#running.size;
  }

  ready(): boolean {
    return this.#closing === undefined && !this.#jobs.away;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#stopListening();
    this.#held.close();
    if (await this.#running.idleWithin(deadlineMs)) return;
    this.#running.abortAll('the worker stops');
    await this.#running.idleWithin(UNWIND_MS);
  }

  #takeAll(): void {
    while (this.#closing === undefined && this.#running.size < this.#options.concurrency) {
      const job = this.#jobs.take();
      if (job === undefined) return;
      void this.#process(job);
    }
  }

  async #process(job: MemoryJob): Promise<void> {
    const read = readPayload(this.#queue, JSON.parse(job.data));
    if (!read.ok) {
      this.#options.ended?.('invalid', 0);
      this.#jobs.finish(job);
      return;
    }
    const key = this.#queue.paceKey(read.payload);
    if (!this.#share.enter(key)) {
      this.#options.ended?.('held', 0);
      this.#jobs.delay(job, this.#share.hold(key, job, Date.now(), Math.random()));
      return;
    }
    const running = this.#running.begin(job.id)!;
    this.#settle(job, await runJob(running, read.payload, this.#work, () => undefined, this.#options));
    this.#running.end(running);
    this.#share.leave(key, Date.now());
    this.#held.freed(key);
    this.#takeAll();
  }

  #settle(job: MemoryJob, ending: Ending): void {
    if (ending.do === 'delay') this.#jobs.delay(job, ending.ms);
    else if (ending.do === 'return') this.#jobs.giveBack(job);
    else if (ending.do !== 'leave') this.#jobs.finish(job);
  }
}
