import { settledWithin } from './bounded.ts';

/** One job while this process works on it. */
export interface RunningJob {
  readonly id: string;
  readonly signal: AbortSignal;
  /** Whether another worker may have it by now. */
  readonly lost: boolean;
}

interface Entry extends RunningJob {
  lost: boolean;
  readonly controller: AbortController;
  renewedMs: number;
}

/** The jobs that this process works on, and whether their locks are still its own. Times are monotonic ms. */
export class RunningJobs {
  readonly #jobs = new Map<string, Entry>();
  #idle = Promise.withResolvers<void>();

  constructor() {
    this.#idle.resolve();
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Undefined when an earlier run of the same job, which lost its lock, has not ended yet. */
  begin(id: string, nowMs: number): RunningJob | undefined {
    if (this.#jobs.has(id)) return undefined;
    const controller = new AbortController();
    const entry: Entry = { id, controller, signal: controller.signal, lost: false, renewedMs: nowMs };
    if (this.#jobs.size === 0) this.#idle = Promise.withResolvers<void>();
    this.#jobs.set(id, entry);
    return entry;
  }

  end(job: RunningJob): void {
    this.#jobs.delete(job.id);
    if (this.#jobs.size === 0) this.#idle.resolve();
  }

  renewed(ids: readonly string[], nowMs: number): void {
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job !== undefined) job.renewedMs = nowMs;
    }
  }

  /** The lock of these jobs is gone; their work is aborted. */
  lose(ids: readonly string[]): void {
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined || job.lost) continue;
      job.lost = true;
      job.controller.abort(new Error('the lock of this job is lost'));
    }
  }

  /** Whose lock was not renewed for `lockMs`. */
  expired(nowMs: number, lockMs: number): string[] {
    return [...this.#jobs.values()].filter((job) => !job.lost && nowMs - job.renewedMs > lockMs).map(({ id }) => id);
  }

  abortAll(reason: string): void {
    for (const job of this.#jobs.values()) job.controller.abort(new Error(reason));
  }

  /** Whether all jobs ended within `ms`. */
  idleWithin(ms: number): Promise<boolean> {
    return settledWithin(this.#idle.promise, ms);
  }
}
