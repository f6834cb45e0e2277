/** Of `holdersMs`: the longest that an image waits whose holders never stop changing. */
const LONGEST = 8;

interface Told {
  /** Monotonic ms. */
  readonly at: number;
  /** How long after that nothing is told but of more than its holders, ms. */
  readonly restMs: number;
}

/**
 * How often it is told that the holders of an image changed, and nothing else: the first time at once, and while they go on changing after twice the time each time. A rolling
 * restart of all pods is not as many writes; images whose holders hardly change are as true as can be.
 */
export class DescriptionPace {
  readonly #holdersMs: number;
  readonly #now: () => number;
  /** The last word on each image, by uid, in the order of time. */
  readonly #told = new Map<string, Told>();

  /** `holdersMs`: the least time between two such words; `now`: monotonic ms. */
  constructor(holdersMs: number, now: () => number) {
    this.#holdersMs = holdersMs;
    this.#now = now;
  }

  /** How long a change of nothing but the holders has to wait, ms. */
  waitMs(uid: string): number {
    const told = this.#told.get(uid);
    return told === undefined ? 0 : Math.max(0, told.at + told.restMs - this.#now());
  }

  /** The image was described. */
  told(uid: string, onlyHolders: boolean): void {
    const now = this.#now();
    const before = this.#told.get(uid);
    this.#told.delete(uid);
    this.#told.set(uid, { at: now, restMs: restAfter(onlyHolders ? before : undefined, now, this.#holdersMs) });
    for (const [old, { at }] of this.#told) {
      if (now - at < 2 * LONGEST * this.#holdersMs) return;
      this.#told.delete(old);
    }
  }
}

/** Twice the rest before this one when the next change came within that again, at most `LONGEST`; else the shortest. */
export function restAfter(before: Told | undefined, now: number, holdersMs: number): number {
  if (before === undefined || now - before.at >= 2 * before.restMs) return holdersMs;
  return Math.min(2 * before.restMs, LONGEST * holdersMs);
}
