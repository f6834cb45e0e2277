/**
 * Waits for something to happen, one wait at a time, each with a time limit of its own. The timer behind it is set about once in the time of a
 * wait, not for each: a request that is answered costs none.
 */
export class Patience {
  readonly #onOver: (what: string) => void;
  #wake: (() => void) | undefined;
  /** Until when is waited, and what is said then. */
  #limit: { untilMs: number; describe: () => string } | undefined;
  #alarm: { timer: NodeJS.Timeout; atMs: number } | undefined;

  /** `onOver` is told what was waited for in vain; it has to `stir`. */
  constructor(onOver: (what: string) => void) {
    this.#onOver = onOver;
  }

  /** Resolves at the next `stir`. */
  wait(forMs: number, describe: () => string): Promise<void> {
    this.expect(forMs, describe);
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** Something has to happen in time; who expects it hears of it elsewhere. */
  expect(forMs: number, describe: () => string): void {
    const untilMs = performance.now() + forMs;
    this.#limit = { untilMs, describe };
    if (this.#alarm === undefined || this.#alarm.atMs > untilMs) this.#set(untilMs, forMs);
  }

  /** Something happened. */
  stir(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    this.#limit = undefined;
    wake?.();
  }

  /** Nothing is waited for any more. */
  close(): void {
    clearTimeout(this.#alarm?.timer);
  }

  #set(atMs: number, inMs: number): void {
    clearTimeout(this.#alarm?.timer);
    // What is waited for holds the process up, not this.
    this.#alarm = { timer: setTimeout(() => this.#look(), Math.ceil(inMs)).unref(), atMs };
  }

  #look(): void {
    this.#alarm = undefined;
    if (this.#limit === undefined) return;
    const { untilMs, describe } = this.#limit;
    const leftMs = untilMs - performance.now();
    if (leftMs > 0) return this.#set(untilMs, leftMs);
    // A process that was busy for that long has not looked yet what came meanwhile: it does before this is called.
    const limit = this.#limit;
    setImmediate(() => this.#limit === limit && this.#onOver(describe()));
  }
}
