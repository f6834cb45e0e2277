import { type CachedImage, stanzaOf } from '@kuik/contracts';

/** Of a settling time: how much longer an image waits for each other one that waits, and at most. */
const PER_OTHER = 1 / 10;
const LONGEST = 30;

/**
 * Images that were made a moment ago wait for their first copy before they are described, so that most are described once. The more are new at once, the longer a copy takes to
 * come to each: a thousand images that start together are not two thousand writes. Kept in memory alone: whoever leads next describes at once.
 */
export class Settling {
  readonly #settleMs: number;
  readonly #now: () => number;
  /** Until when (monotonic ms), by uid. */
  readonly #until = new Map<string, number>();

  /** `settleMs`: how long an image waits that is alone; `now`: monotonic ms. */
  constructor(settleMs: number, now: () => number) {
    this.#settleMs = settleMs;
    this.#now = now;
  }

  /** The image was made just now. */
  begin(uid: string): void {
    const now = this.#now();
    for (const [old, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(old);
    }
    this.#until.set(uid, now + settleTime(this.#until.size, this.#settleMs));
  }

  /** How long it may still wait to be described, ms; 0: its copier has said something, its time is up, or it was not made a moment ago. */
  leftMs(image: CachedImage): number {
    const { uid } = image.metadata;
    const until = this.#until.get(uid);
    if (until === undefined) return 0;
    const left = stanzaOf(image, 'cache') === undefined ? until - this.#now() : 0;
    if (left > 0) return left;
    this.#until.delete(uid);
    return 0;
  }
}

/** How long a new image waits for its copy while so many others do, ms. */
export function settleTime(others: number, settleMs: number): number {
  return settleMs * Math.min(LONGEST, 1 + others * PER_OTHER);
}
