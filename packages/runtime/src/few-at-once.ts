interface Waiting {
  readonly of: string;
  readonly begin: () => void;
}

/**
 * Lets a few pieces of work run at once; the others wait for their turn, in the order in which they came. For questions that are given a time to
 * be answered in: asked by hundreds at once, a part that is well would be too slow for the last of them.
 */
export class FewAtOnce {
  readonly #most: number;
  readonly #mostOf: (of: string) => number;
  readonly #waiting: Waiting[] = [];
  readonly #runningOf = new Map<string, number>();
  #running = 0;

  /** `mostOf`: how much of the work of one name may run at once, now; whoever waits for that holds up no other name. Default: as much as of all. */
  constructor(most: number, mostOf: (of: string) => number = () => Infinity) {
    this.#most = most;
    this.#mostOf = mostOf;
  }

  /** Takes a turn, which `leave` of the same name ends; undefined: at once. */
  enter(of = ''): Promise<void> | undefined {
    if (!this.#hasRoom(of)) return new Promise<void>((resolve) => this.#waiting.push({ of, begin: resolve }));
    this.#begin(of);
    return undefined;
  }

  /** Ends a turn: it is handed on to who waits for longest, of those that may begin. */
  leave(of = ''): void {
    this.#running -= 1;
    const left = (this.#runningOf.get(of) ?? 0) - 1;
    if (left > 0) this.#runningOf.set(of, left);
    else this.#runningOf.delete(of);
    // More than one when more of a name may run than did when they came.
    while (this.#running < this.#most) {
      const at = this.#waiting.findIndex((one) => this.#hasRoom(one.of));
      if (at === -1) return;
      const [next] = this.#waiting.splice(at, 1);
      this.#begin(next!.of);
      next!.begin();
    }
  }

  #hasRoom(of: string): boolean {
    return this.#running < this.#most && (this.#runningOf.get(of) ?? 0) < this.#mostOf(of);
  }

  #begin(of: string): void {
    this.#running += 1;
    this.#runningOf.set(of, (this.#runningOf.get(of) ?? 0) + 1);
  }
}
