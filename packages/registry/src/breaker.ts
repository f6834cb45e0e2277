export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** How long it then spares the other side before one call may probe it. */
  readonly openMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * Spares a part that does not answer: after `failures` in a row nobody may call it for `openMs`; then one call probes it, and its
 * outcome decides. A probe that never reports (its client went away) is replaced by the next one after another `openMs`.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #failures = 0;
  #openUntil: number | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  /** Whether a call may be made now. True while open makes the caller the probe: it should report. */
  admit(): boolean {
    if (this.#openUntil === undefined) return true;
    const now = this.#options.now();
    if (now < this.#openUntil) return false;
    this.#openUntil = now + this.#options.openMs;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntil = undefined;
  }

  failed(): void {
    this.#failures += 1;
    if (this.#openUntil !== undefined || this.#failures >= this.#options.failures) {
      this.#openUntil = this.#options.now() + this.#options.openMs;
    }
  }

  get open(): boolean {
    return this.#openUntil !== undefined;
  }
}
