/**
 * Remembers what a key's work gave, for a short time; one work per key is under way at a time. Failures are not remembered. The
 * oldest go when it is full. `now` in ms.
 */
export class BriefMemory<T> {
  readonly #max: number;
  readonly #now: () => number;
  readonly #kept = new Map<string, { readonly value: T; readonly until: number }>();
  readonly #running = new Map<string, Promise<T>>();

  constructor(max: number, now: () => number) {
    this.#max = max;
    this.#now = now;
  }

  /** What is remembered, or what `work` gives; `untilOf` says until when (epoch ms) that may be used. `renew` asks anew. */
  async get(
    key: string,
    work: () => Promise<T>,
    untilOf: (value: T) => number,
    options: { renew?: boolean } = {},
  ): Promise<T> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#now() && options.renew !== true) return kept.value;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const run = (async () => {
      try {
        const value = await work();
        this.#keep(key, value, untilOf(value));
        return value;
      } finally {
        this.#running.delete(key);
      }
    })();
    this.#running.set(key, run);
    return run;
  }

  #keep(key: string, value: T, until: number): void {
    this.#kept.delete(key);
    this.#kept.set(key, { value, until });
    if (this.#kept.size > this.#max) this.#kept.delete(this.#kept.keys().next().value!);
  }
}
