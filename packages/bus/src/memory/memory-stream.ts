interface Waiting {
  readonly bytes: Uint8Array;
  readonly attempt: number;
}

/** Messages of one durable stream, and who has had them. */
export class MemoryStream {
  readonly dead: { bytes: Uint8Array; reason: string }[] = [];
  readonly #messages: Uint8Array[] = [];
  readonly #seen = new Set<string>();
  readonly #durables = new Map<string, { queue: Waiting[]; wake: Set<() => void> }>();

  append(bytes: Uint8Array, dedupId?: string): void {
    if (dedupId !== undefined && this.#seen.has(dedupId)) return;
    if (dedupId !== undefined) this.#seen.add(dedupId);
    this.#messages.push(bytes);
    for (const name of this.#durables.keys()) this.offer(name, { bytes, attempt: 1 });
  }

  /** Puts a message into a durable's queue, once more or for the first time. */
  offer(durable: string, message: Waiting): void {
    const state = this.#durable(durable);
    state.queue.push(message);
    for (const wake of state.wake) wake();
  }

  /** The next message of a durable; undefined when the signal ends first. */
  async take(durable: string, signal: AbortSignal): Promise<Waiting | undefined> {
    const state = this.#durable(durable);
    while (!signal.aborted) {
      const message = state.queue.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          state.wake.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        state.wake.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    return undefined;
  }

  #durable(name: string): { queue: Waiting[]; wake: Set<() => void> } {
    let state = this.#durables.get(name);
    if (state === undefined) {
      state = { queue: this.#messages.map((bytes) => ({ bytes, attempt: 1 })), wake: new Set() };
      this.#durables.set(name, state);
    }
    return state;
  }
}
