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
