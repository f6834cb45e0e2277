import { wait } from './clock.ts';

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** For loops that name none. */
export const DEFAULT_BACKOFF: Backoff = { firstMs: 500, maxMs: 60_000 };

/**
 * Full jitter: a random time in [0, min(maxMs, firstMs * 2^(failures-1))].
 * `failures` counts from 1; `random` is in [0, 1).
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(failures: number, backoff: Backoff, random: number): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  return Math.floor(random * Math.min(backoff.maxMs, backoff.firstMs * 2 ** exponent));
}

export interface RetryOptions<T> {
  readonly signal: AbortSignal;
  readonly attempt: (signal: AbortSignal) => Promise<T>;
  readonly backoff?: Backoff;
  /** Told of each failure, with the time until the next attempt. */
  readonly onFailure?: (failure: { error: unknown; failures: number; nextInMs: number }) => void;
  readonly random?: () => number;
}

/** Tries until it works. Throws only the signal's reason, when aborted. */
export async function retryForever<T>(options: RetryOptions<T>): Promise<T> {
  const { signal, attempt, backoff = DEFAULT_BACKOFF, onFailure, random = Math.random } = options;
  for (let failures = 1; ; failures++) {
    signal.throwIfAborted();
    try {
      return await attempt(signal);
    } catch (error) {
      signal.throwIfAborted();
      const nextInMs = backoffMs(failures, backoff, random());
      onFailure?.({ error, failures, nextInMs });
      await wait(nextInMs, signal);
    }
  }
}
