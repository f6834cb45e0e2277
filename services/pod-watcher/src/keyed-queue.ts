import { type Backoff, backoffMs, type Logger } from '@kuik/runtime';

export interface KeyedQueueOptions {
  readonly concurrency: number;
  /** A key is worked on at most once in this time (ms); the first time at once. */
  readonly spacingMs: number;
  readonly backoff: Backoff;
  /** Works on one key; may say when to look at it again. A thrown error backs the key off. */
  readonly work: (key: string, signal: AbortSignal) => Promise<{ readonly afterMs: number } | undefined>;
  readonly onFailure: (failure: { key: string; error: unknown; failures: number; nextInMs: number }) => void;
  /** Monotonic ms. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Counts and logs each failure as a round of a loop: of the queue's one loop, or of those that its keys belong to. */
export function failedRounds(
  { log, onFailure }: { readonly log: Logger; readonly onFailure: (loop: string, error: unknown) => void },
  loopOf: (key: string) => string,
): KeyedQueueOptions['onFailure'] {
  return ({ key, error, failures, nextInMs }) => {
    const loop = loopOf(key);
    onFailure(loop, error);
    log.warn('round failed', { loop, key, error, failures, nextInMs });
  };
}

interface Pending {
  dueAt: number;
  timer: NodeJS.Timeout;
}

/** Node fires at once for longer delays. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Keys that want to be looked at: each at most once at a time, several in parallel. What is added while its key runs, runs after
 * it; what is added again before its time keeps the earlier time. Nothing is kept of a key that is at rest.
 */
export class KeyedQueue {
  readonly #options: KeyedQueueOptions;
  readonly #now: () => number;
  readonly #pending = new Map<string, Pending>();
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #lastStart = new Map<string, number>();
  #ending = new AbortController();
  #open = false;

  constructor(options: KeyedQueueOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Takes keys from now on. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    this.#ending = new AbortController();
  }

  /** Drops what waits, aborts what runs and resolves when it has ended. May be opened again. */
  async close(): Promise<void> {
    this.#open = false;
    this.#ending.abort(new Error('closing'));
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
    this.#ready.clear();
    this.#again.clear();
    this.#failures.clear();
    this.#lastStart.clear();
    await Promise.allSettled(this.#running.values());
  }

  /** Wants `key` looked at, `afterMs` from now. Ignored while closed. */
  add(key: string, afterMs = 0): void {
    if (!this.#open || this.#ready.has(key)) return;
    if (this.#running.has(key) && afterMs === 0) {
      this.#again.add(key);
      return;
    }
    const now = this.#now();
    const spaced = (this.#lastStart.get(key) ?? -Infinity) + this.#options.spacingMs;
    const dueAt = Math.max(now + afterMs, spaced);
    const known = this.#pending.get(key);
    if (known !== undefined) {
      if (known.dueAt <= dueAt) return;
      clearTimeout(known.timer);
    }
    const timer = setTimeout(() => this.#due(key), Math.min(Math.max(dueAt - now, 0), LONGEST_MS));
    this.#pending.set(key, { dueAt, timer });
  }

  /** Keys that are due or being worked on. */
  get busy(): number {
    return this.#ready.size + this.#running.size + this.#again.size;
  }

  #due(key: string): void {
    this.#pending.delete(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#ready.add(key);
    this.#fill();
  }

  #fill(): void {
    for (const key of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#ready.delete(key);
      const run = this.#run(key).finally(() => {
        this.#running.delete(key);
        if (this.#again.delete(key)) this.add(key);
        this.#fill();
      });
      this.#running.set(key, run);
    }
  }

  async #run(key: string): Promise<void> {
    this.#remember(key);
    const { signal } = this.#ending;
    try {
      const next = await this.#options.work(key, signal);
      this.#failures.delete(key);
      if (next !== undefined && !signal.aborted) this.#later(key, next.afterMs);
    } catch (error) {
      if (signal.aborted) return;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const nextInMs = backoffMs(failures, this.#options.backoff, this.#options.random?.() ?? Math.random());
      this.#options.onFailure({ key, error, failures, nextInMs });
      this.#later(key, nextInMs);
    }
  }

  /** Only a time to come: a key that runs is not "again" because of its own wish. */
  #later(key: string, afterMs: number): void {
    this.add(key, Math.max(afterMs, 1));
  }

  #remember(key: string): void {
    const now = this.#now();
    this.#lastStart.delete(key);
    this.#lastStart.set(key, now);
    for (const [old, at] of this.#lastStart) {
      if (now - at < this.#options.spacingMs) return;
      this.#lastStart.delete(old);
    }
  }
}
