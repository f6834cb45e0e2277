/** First come-back of a job that found its host's slots taken, the step between further ones, and the latest. */
const AGAIN_MS = 250;
const STEP_MS = 50;
const LATEST_MS = 10_000;

/** Shares a worker's slots between hosts: none gets more than half of them (rounded up, at least 1). */
export class Slots {
  readonly #perKey: number;
  readonly #taken = new Map<string, number>();
  /** When the next job of a host may come back: they are spread, so that a thousand of one host do not circle. */
  readonly #nextAt = new Map<string, number>();

  constructor(concurrency: number) {
    this.#perKey = Math.max(1, Math.ceil(concurrency / 2));
  }

  /** Takes a slot: undefined when it is given, else how many ms later to try again. */
  enter(key: string, now: number): number | undefined {
    const taken = this.#taken.get(key) ?? 0;
    if (taken < this.#perKey) {
      this.#taken.set(key, taken + 1);
      return undefined;
    }
    const at = Math.min(Math.max(now + AGAIN_MS, (this.#nextAt.get(key) ?? 0) + STEP_MS), now + LATEST_MS);
    this.#nextAt.set(key, at);
    return at - now;
  }

  leave(key: string): void {
    const taken = (this.#taken.get(key) ?? 0) - 1;
    if (taken > 0) this.#taken.set(key, taken);
    else {
      this.#taken.delete(key);
      this.#nextAt.delete(key);
    }
  }
}
