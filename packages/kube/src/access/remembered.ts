/** A value that is got again when it is older than `maxAgeMs`, with at most one getting under way. */
export class Remembered<T> {
  readonly #get: () => Promise<T>;
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  #value: Promise<T> | undefined;
  #since = 0;

  constructor(get: () => Promise<T>, maxAgeMs: number, now: () => number = () => performance.now()) {
    this.#get = get;
    this.#maxAgeMs = maxAgeMs;
    this.#now = now;
  }

  /** Rejects with what getting threw; that is not remembered. */
  async get(): Promise<T> {
    if (this.#value === undefined || this.#now() - this.#since >= this.#maxAgeMs) {
      const getting = this.#get();
      this.#value = getting;
      this.#since = this.#now();
      getting.catch(() => {
        if (this.#value === getting) this.#value = undefined;
      });
    }
    return this.#value;
  }

  forget(): void {
    this.#value = undefined;
  }
}
