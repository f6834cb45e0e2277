import { settledWithin } from './bounded.ts';

/** One job while this process works on it. */
export interface RunningJob {
  readonly id: string;
  readonly signal: AbortSignal;
  /** Whether another worker may have it by now. */
  readonly lost: boolean;
  /** Another worker had it before, and fell silent. */
  readonly takenOver: boolean;
}

interface Entry extends RunningJob {
  lost: boolean;
  readonly controller: AbortController;
}

/** The jobs that this process works on, and whether their locks are still its own. */
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
  begin(id: string, takenOver = false): RunningJob | undefined {
    if (this.#jobs.has(id)) return undefined;
    const controller = new AbortController();
    const entry: Entry = { id, controller, signal: controller.signal, lost: false, takenOver };
    if (this.#jobs.size === 0) this.#idle = Promise.withResolvers<void>();
    this.#jobs.set(id, entry);
    return entry;
  }

  end(job: RunningJob): void {
    this.#jobs.delete(job.id);
    if (this.#jobs.size === 0) this.#idle.resolve();
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

  abortAll(reason: string): void {
    for (const job of this.#jobs.values()) job.controller.abort(new Error(reason));
  }

  /** Whether all jobs ended within `ms`. */
  idleWithin(ms: number): Promise<boolean> {
    return settledWithin(this.#idle.promise, ms);
  }
}
