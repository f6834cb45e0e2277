import { type CachedImage, stanzaOf } from '@kuik/contracts';

/** Of a settling time: how much longer an image waits for each other one that waits, and at most while nothing is copied. */
const PER_OTHER = 1 / 10;
const LONGEST_QUIET = 10;
/** How long copies of others may pause, and how long an image waits at most for its own while theirs go on. */
const PAUSE = 5;
const LONGEST = 60;
/** So many new images at once are a rush, until the last of them is copied: their copies come before whatever can wait. */
const RUSH = 20;
const REST = 10;

/** When an image began to wait, and until when it does so in any case; monotonic ms. */
interface Wait {
  readonly since: number;
  readonly until: number;
}

/**
 * Images that were made a moment ago wait for their first copy before they are described, so that most are described once. The more are new at once, the longer a copy takes to
 * come to each: while copies of new images go on, the others wait for theirs, and a thousand images that start together are not two thousand writes. Kept in memory alone: whoever
 * leads next describes at once.
 */
export class Settling {
  readonly #settleMs: number;
  readonly #now: () => number;
  /** By uid, in the order of time. */
  readonly #waits = new Map<string, Wait>();
  #newest: Wait | undefined;
  #rush = false;
  #heardAt = -Infinity;

  /** `settleMs`: how long an image waits that is alone; `now`: monotonic ms. */
  constructor(settleMs: number, now: () => number) {
    this.#settleMs = settleMs;
    this.#now = now;
  }

  /** The image was made just now. */
  begin(uid: string): void {
    const since = this.#now();
    for (const [old, wait] of this.#waits) {
      if (wait.since + LONGEST * this.#settleMs > since) break;
      this.#waits.delete(old);
    }
    this.#newest = { since, until: since + settleTime(this.#waits.size, this.#settleMs) };
    this.#waits.set(uid, this.#newest);
    this.#rush ||= this.#waits.size >= RUSH;
  }

  /** How long it may still wait to be described, ms; 0: its copier has said something, its time is up, or it was not made a moment ago. */
  leftMs(image: CachedImage): number {
    const { uid } = image.metadata;
    const wait = this.#waits.get(uid);
    if (wait === undefined) return 0;
    const copied = stanzaOf(image, 'cache') !== undefined;
    if (copied) this.#heardAt = this.#now();
    const left = copied ? 0 : settledAt(this.#amongAll(wait), this.#heardAt, this.#settleMs) - this.#now();
    if (left > 0) return left;
    this.#waits.delete(uid);
    return 0;
  }

  /** The first ones of many wait as long as those that came after them: their copies are no faster. */
  #amongAll({ since, until }: Wait): Wait {
    return { since, until: Math.max(until, since + settleTime(this.#waits.size - 1, this.#settleMs)) };
  }

  /** When to look again at what can wait for the end of a rush, ms; 0: now. It may be over before its time. */
  restMs(): number {
    return Math.min(this.rushMs(), REST * this.#settleMs);
  }

  /** For how long images of a rush may still wait for their first copies, ms; 0: there is none, or they have waited long enough. */
  rushMs(): number {
    if (this.#newest === undefined || !this.#rush) return 0;
    const left = this.#waits.size === 0 ? 0 : settledAt(this.#newest, this.#heardAt, this.#settleMs) - this.#now();
    this.#rush = left > 0;
    return Math.max(0, left);
  }
}

/** How long a new image waits for its copy while so many others do and nothing is copied, ms. */
export function settleTime(others: number, settleMs: number): number {
  return settleMs * Math.min(LONGEST_QUIET, 1 + others * PER_OTHER);
}

/** When an image waits no longer, if no other new one is copied after `heardAt`. */
export function settledAt({ since, until }: Wait, heardAt: number, settleMs: number): number {
  return Math.max(until, Math.min(heardAt + PAUSE * settleMs, since + LONGEST * settleMs));
}
