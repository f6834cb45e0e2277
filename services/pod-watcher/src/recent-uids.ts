/** The uids of objects to which something happened in the last `keptMs`; older ones are forgotten, so it stays small. */
export class RecentUids {
  readonly #keptMs: number;
  readonly #now: () => number;
  /** In the order of their times. */
  readonly #at = new Map<string, number>();

  /** `now`: monotonic ms. */
  constructor(keptMs: number, now: () => number = () => performance.now()) {
    this.#keptMs = keptMs;
    this.#now = now;
  }

  /** It happened to this one now (again). */
  add(uid: string): void {
    this.#at.delete(uid);
    this.#at.set(uid, this.#now());
    for (const old of this.#at.keys()) {
      if (this.has(old)) return;
      this.#at.delete(old);
    }
  }

  has(uid: string): boolean {
    return this.ageMs(uid) < this.#keptMs;
  }

  /** ms since it happened last; Infinity when that is not known. */
  ageMs(uid: string): number {
    return this.#now() - (this.#at.get(uid) ?? -Infinity);
  }
}
