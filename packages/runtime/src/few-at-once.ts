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

  /** Takes a turn, which `leave` ends; undefined: at once. */
  enter(): Promise<void> | undefined {
    if (this.#running >= this.#most) return new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    return undefined;
  }

  /** Ends a turn: it is handed on to who waits for longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
