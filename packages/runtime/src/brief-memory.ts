export interface BriefMemoryOptions {
  /** How long an answer is used, ms; 0 only shares running questions. */
  readonly forMs: number;
  /** How many answers are kept: the one that was not used for longest goes first. */
  readonly entries: number;
  /** ms, of whatever clock `until` speaks of. */
  readonly now: () => number;
}

export interface Question<V> {
  /** Until when this answer may be used, by the memory's clock; absent: `forMs` from now. */
  readonly until?: (answer: V) => number;
  /** Ask, although an answer is remembered. A question that is under way will do. */
  readonly renew?: boolean;
}

/** Remembers answers for a moment, and lets everybody who asks meanwhile share one question. Failures are not remembered. */
export class BriefMemory<V> {
  readonly #options: BriefMemoryOptions;
  /** In the order in which they were last used. */
  readonly #answers = new Map<string, { readonly answer: V; readonly until: number }>();
  readonly #asking = new Map<string, Promise<V>>();

  constructor(options: BriefMemoryOptions) {
    this.#options = options;
  }

  /** What is remembered, or what `ask` gives. Throws what `ask` throws. */
  async get(key: string, ask: () => Promise<V>, question: Question<V> = {}): Promise<V> {
    const known = this.#answers.get(key);
    if (known !== undefined && question.renew !== true && this.#options.now() < known.until) {
      this.#keep(key, known);
      return known.answer;
    }
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#ask(key, ask, question).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  async #ask(key: string, ask: () => Promise<V>, { until }: Question<V>): Promise<V> {
    const answer = await ask();
    const { forMs, now } = this.#options;
    const known = { answer, until: until?.(answer) ?? now() + forMs };
    if (known.until > now()) this.#keep(key, known);
    else this.#answers.delete(key);
    return answer;
  }

  #keep(key: string, known: { readonly answer: V; readonly until: number }): void {
    this.#answers.delete(key);
    this.#answers.set(key, known);
    if (this.#answers.size > this.#options.entries) this.#answers.delete(this.#answers.keys().next().value!);
  }
}
