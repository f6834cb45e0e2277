import { WeightedLru } from './weighted-lru.ts';

/** Remembers answers for a moment, and lets everybody who asks meanwhile share one question. Failures are not remembered. */
export class BriefMemory<V> {
  readonly #answers: WeightedLru<{ value: V; untilMs: number }>;
  readonly #asking = new Map<string, Promise<V>>();
  readonly #forMs: number;
  readonly #now: () => number;

  /** `forMs` 0 only shares running questions; `entries` bounds the memory; `now` is monotonic ms. */
  constructor(options: { forMs: number; entries: number; now: () => number }) {
    this.#answers = new WeightedLru(options.entries);
    this.#forMs = options.forMs;
    this.#now = options.now;
  }

  async get(key: string, ask: () => Promise<V>): Promise<V> {
    const answer = this.#answers.get(key);
    if (answer !== undefined && this.#now() < answer.untilMs) return answer.value;
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#ask(key, ask).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  async #ask(key: string, ask: () => Promise<V>): Promise<V> {
    const value = await ask();
    if (this.#forMs > 0) this.#answers.set(key, { value, untilMs: this.#now() + this.#forMs });
    return value;
  }
}
