import type { JobCounts } from '../port.ts';

export interface MemoryJob {
  readonly id: string;
  readonly dedupId: string;
  /** As it went over the wire. */
  readonly data: string;
}

/** The jobs of one queue: waiting, delayed, active; one per deduplication id, and one more that was raised while it was active. */
export class MemoryJobs {
  readonly #waiting: MemoryJob[] = [];
  readonly #delayed = new Map<MemoryJob, NodeJS.Timeout>();
  readonly #active = new Set<MemoryJob>();
  readonly #byDedupId = new Map<string, MemoryJob>();
  readonly #after = new Map<string, { data: string; delayMs: number }>();
  readonly #listeners = new Set<() => void>();
  #lastId = 0;
  #away = false;

  add(dedupId: string, payload: unknown, delayMs: number): void {
    const data = JSON.stringify(payload);
    const known = this.#byDedupId.get(dedupId);
    if (known === undefined) this.#enter(dedupId, data, delayMs);
    else if (this.#active.has(known)) this.#after.set(dedupId, { data, delayMs });
  }

  take(): MemoryJob | undefined {
    if (this.#away) return undefined;
    const job = this.#waiting.shift();
    if (job !== undefined) this.#active.add(job);
    return job;
  }

  /** The job ended; what was raised meanwhile comes now. */
  finish(job: MemoryJob): void {
    this.#active.delete(job);
    this.#byDedupId.delete(job.dedupId);
    const after = this.#after.get(job.dedupId);
    this.#after.delete(job.dedupId);
    if (after !== undefined) this.#enter(job.dedupId, after.data, after.delayMs);
  }

  delay(job: MemoryJob, ms: number): void {
    this.#active.delete(job);
    const due = (): void => this.promote(job);
    this.#delayed.set(job, setTimeout(due, ms).unref());
  }

  /** A delayed job may come now. */
  promote(job: MemoryJob): void {
    const timer = this.#delayed.get(job);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#delayed.delete(job);
    this.#waiting.push(job);
    this.#tell();
  }

  /** Not done here: the next one. */
  giveBack(job: MemoryJob): void {
    this.#active.delete(job);
    this.#waiting.unshift(job);
    this.#tell();
  }

  counts(): JobCounts {
    return { waiting: this.#waiting.length, active: this.#active.size, delayed: this.#delayed.size };
  }

  setAway(away: boolean): void {
    this.#away = away;
    if (!away) this.#tell();
  }

  get away(): boolean {
    return this.#away;
  }

  /** Called when there may be something to take; returns how to stop. */
  onWork(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #enter(dedupId: string, data: string, delayMs: number): void {
    const job: MemoryJob = { id: String((this.#lastId += 1)), dedupId, data };
    this.#byDedupId.set(dedupId, job);
    if (delayMs > 0) this.delay(job, delayMs);
    else {
      this.#waiting.push(job);
      this.#tell();
    }
  }

  #tell(): void {
    queueMicrotask(() => {
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
