import { SparseIndexRefused } from '@kuik/registry';

/** How long a cache registry that took no sparse index is not offered another one. */
export const REFUSED_FOR_MS = 60 * 60_000;

/** Whether the cache registry takes an index without all of its platforms: believed until it refuses one, then for a time not. */
export class SparseIndexes {
  readonly #now: () => number;
  #refusedUntil = -Infinity;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** What of an index to copy: `wants`, or everything (undefined) while the registry wants it whole. */
  narrowed<T>(wants: T | undefined): T | undefined {
    return this.#now() < this.#refusedUntil ? undefined : wants;
  }

  /** Runs a copy of what is wanted; when the registry refuses the index because of what is left out, a copy of everything. */
  async copying<W, T>(wants: W | undefined, copy: (wants: W | undefined, again: boolean) => Promise<T>): Promise<T> {
    const narrowed = this.narrowed(wants);
    try {
      return await copy(narrowed, false);
    } catch (error) {
      if (narrowed === undefined || !(error instanceof SparseIndexRefused)) throw error;
      this.#refusedUntil = this.#now() + REFUSED_FOR_MS;
      return copy(undefined, true);
    }
  }
}
