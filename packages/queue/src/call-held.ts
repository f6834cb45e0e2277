import type { SlotShare } from './slot-share.ts';

/** Between two looks at jobs that are still held. */
const LOOK_AGAIN_MS = 250;

/**
 * Calls held jobs when slots get free: as many as there is room for, and again while any is held. A job that was called may go to another worker; then
 * nothing ends here that would call the next one, and the others would wait out their time beside free slots.
 */
export class CallHeld<J> {
  readonly #share: SlotShare<J>;
  readonly #promote: (job: J) => void;
  readonly #looks = new Map<string, NodeJS.Timeout>();
  #closed = false;

  /** `promote` makes a job's time come; it may be there already, or have gone. Never throws. */
  constructor(share: SlotShare<J>, promote: (job: J) => void) {
    this.#share = share;
    this.#promote = promote;
  }

  /** A slot of the key got free. */
  freed(key: string): void {
    for (const job of this.#share.call(key, Date.now())) this.#promote(job);
    if (this.#closed || this.#looks.has(key) || !this.#share.holds(key, Date.now())) return;
    const look = setTimeout(() => {
      this.#looks.delete(key);
      this.freed(key);
    }, LOOK_AGAIN_MS);
    this.#looks.set(key, look.unref());
  }

  /** Looks no more by itself; a slot that gets free still calls: other workers have room. */
  close(): void {
    this.#closed = true;
    for (const look of this.#looks.values()) clearTimeout(look);
    this.#looks.clear();
  }
}
