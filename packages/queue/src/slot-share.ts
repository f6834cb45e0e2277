interface Held<J> {
  readonly job: J;
  readonly dueMs: number;
}

const HOLD_MIN_MS = 300;
const HOLD_MAX_MS = 60_000;
const HOLD_PER_JOB_MS = 100;
const HOLD_PER_JOB_MAX_MS = 1_000;
/** Jobs that ended further apart than this say nothing of each other. */
const APART_MS = 5_000;

/**
 * Which jobs may have a slot of one worker: no pace key more than half of them (rounded up, at least one). A job that may not is held back
 * with jitter for about as long as those before it take, as the last ones did, so that a thousand jobs of one host do not spin: a job that comes back too soon is
 * taken and held back again, which costs more of Redis and worker than all else about it. Slots that are free call
 * those that were held first (`call-held.ts`). The time only matters when nobody calls: this worker is gone, or another one has a slot for it.
 */
export class SlotShare<J> {
  readonly #most: number;
  readonly #running = new Map<string, number>();
  readonly #held = new Map<string, Held<J>[]>();
  /** When a job of the key left last, and how far apart they left lately; ms. */
  readonly #left = new Map<string, { atMs: number; everyMs: number | undefined }>();

  constructor(concurrency: number) {
    this.#most = Math.max(1, Math.ceil(concurrency / 2));
  }

  /** Takes a slot for the key; false when it has all that it may have. */
  enter(key: string): boolean {
    const running = this.#running.get(key) ?? 0;
    if (running >= this.#most) return false;
    this.#running.set(key, running + 1);
    return true;
  }

  /** Gives the slot back. */
  leave(key: string, nowMs: number): void {
    const running = this.#running.get(key) ?? 0;
    if (running > 1) this.#running.set(key, running - 1);
    else this.#running.delete(key);
    this.#noteLeave(key, nowMs);
  }

  /** The jobs of that key that are held and may come now, those first that were held first: no more than there are free slots. They are held no longer. */
  call(key: string, nowMs: number): J[] {
    const held = this.#pending(key, nowMs);
    const called = held.splice(0, this.#most - (this.#running.get(key) ?? 0));
    this.#keep(key, held);
    return called.map(({ job }) => job);
  }

  /** Whether any job of that key is held. */
  holds(key: string, nowMs: number): boolean {
    return this.#pending(key, nowMs).length > 0;
  }

  /** How long a refused job is held back, in ms; `random` in [0, 1). */
  hold(key: string, job: J, nowMs: number, random: number): number {
    const held = this.#pending(key, nowMs);
    const most = Math.min(HOLD_MAX_MS, 2 * HOLD_MIN_MS + held.length * this.#perJobMs(key));
    const ms = Math.round(most * (0.5 + random / 2));
    held.push({ job, dueMs: nowMs + ms });
    this.#keep(key, held);
    return ms;
  }

  /** The earliest of two held jobs is back after half of their time: twice the pace is the pace. */
  #perJobMs(key: string): number {
    const everyMs = this.#left.get(key)?.everyMs ?? 0;
    return Math.min(HOLD_PER_JOB_MAX_MS, Math.max(HOLD_PER_JOB_MS, 2 * everyMs));
  }

  #noteLeave(key: string, nowMs: number): void {
    if (!this.#held.has(key) && !this.#running.has(key)) {
      this.#left.delete(key);
      return;
    }
    const before = this.#left.get(key);
    const apartMs = nowMs - (before?.atMs ?? -Infinity);
    const known = before?.everyMs;
    const everyMs = apartMs > APART_MS ? known : known === undefined ? apartMs : 0.8 * known + 0.2 * apartMs;
    this.#left.set(key, { atMs: nowMs, everyMs });
  }

  #pending(key: string, nowMs: number): Held<J>[] {
    return (this.#held.get(key) ?? []).filter(({ dueMs }) => dueMs > nowMs);
  }

  #keep(key: string, held: Held<J>[]): void {
    if (held.length > 0) this.#held.set(key, held);
    else this.#held.delete(key);
  }
}
