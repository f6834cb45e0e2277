/**
 * Lets a few pieces of work run at once; the others wait for their turn, in the order in which they came. For questions that are given a time to
 * be answered in: asked by hundreds at once, a part that is well would be too slow for the last of them.
 */
export class FewAtOnce {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** What `work` gives, once it had its turn. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Its turn is handed on, not given up.
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
