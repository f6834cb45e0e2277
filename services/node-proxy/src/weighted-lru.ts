/** A map that forgets what was not used for longest once its values weigh more than `maxWeight` together. */
export class WeightedLru<V> {
  readonly #entries = new Map<string, { value: V; weight: number }>();
  readonly #maxWeight: number;
  readonly #onEvict: ((key: string, value: V) => void) | undefined;
  #weight = 0;
  /** The most recently used key, if it is still there. */
  #newest: string | undefined;

  /** `maxWeight` in the unit of `set`'s weights; `onEvict` hears of what was forgotten for lack of room, not of `delete`. */
  constructor(maxWeight: number, onEvict?: (key: string, value: V) => void) {
    this.#maxWeight = maxWeight;
    this.#onEvict = onEvict;
  }

  /** The value, which is now the most recently used one. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (key !== this.#newest) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      this.#newest = key;
    }
    return entry.value;
  }

  /** Keeps the value; one heavier than the whole map is not kept. */
  set(key: string, value: V, weight = 1): void {
    this.delete(key);
    if (weight > this.#maxWeight) return;
    this.#entries.set(key, { value, weight });
    this.#newest = key;
    this.#weight += weight;
    for (const [oldest, entry] of this.#entries) {
      if (this.#weight <= this.#maxWeight) return;
      this.#entries.delete(oldest);
      this.#weight -= entry.weight;
      this.#onEvict?.(oldest, entry.value);
    }
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#weight -= entry.weight;
    return this.#entries.delete(key);
  }

  /** Everything that is kept, the least recently used first; looking at it is no use of it. */
  *entries(): IterableIterator<[string, V]> {
    for (const [key, { value }] of this.#entries) yield [key, value];
  }

  get weight(): number {
    return this.#weight;
  }

  get size(): number {
    return this.#entries.size;
  }
}
