/** Hears of the abort of one signal at a time, from `watch` to `leave`: an exchange in two steps listens once, not once for each. */
export class AbortWatch {
  readonly #onAbort: (signal: AbortSignal) => void;
  #signal: AbortSignal | undefined;
  readonly #heard = (): void => {
    const signal = this.#signal;
    this.#signal = undefined;
    if (signal !== undefined) this.#onAbort(signal);
  };

  /** `onAbort` is called once for each signal that is watched, at once when it is aborted already. */
  constructor(onAbort: (signal: AbortSignal) => void) {
    this.#onAbort = onAbort;
  }

  /** Listens to this signal, and to none before it. */
  watch(signal: AbortSignal | undefined): void {
    if (signal === this.#signal) return;
    this.leave();
    if (signal === undefined) return;
    this.#signal = signal;
    if (signal.aborted) this.#heard();
    else signal.addEventListener('abort', this.#heard, { once: true });
  }

  /** Listens no more. */
  leave(): void {
    this.#signal?.removeEventListener('abort', this.#heard);
    this.#signal = undefined;
  }
}
