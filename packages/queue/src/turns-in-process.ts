import { once } from 'node:events';
import { within } from './bounded.ts';

/** Who of this process has which turn; waiting costs nobody a request. */
export class TurnsInProcess {
  readonly #running = new Map<string, PromiseWithResolvers<void>>();

  /** Takes the turn when nobody here has it. */
  begin(key: string): boolean {
    if (this.#running.has(key)) return false;
    this.#running.set(key, Promise.withResolvers<void>());
    return true;
  }

  end(key: string): void {
    this.#running.get(key)?.resolve();
    this.#running.delete(key);
  }

  /** Until the turn of the key ends, `ms` are over or `signal` aborts. */
  async ended(key: string, ms: number, signal: AbortSignal): Promise<void> {
    const running = this.#running.get(key);
    if (running === undefined || signal.aborted) return;
    const stop = new AbortController();
    const aborted = once(signal, 'abort', { signal: stop.signal });
    await within(Promise.race([running.promise, aborted]), ms).finally(() => stop.abort());
  }
}
