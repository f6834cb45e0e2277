import type { Backoff } from './port.ts';

export const DEFAULT_BACKOFF: Backoff = { firstMs: 200, maxMs: 30_000 };

/**
 * Time before the next attempt: doubles with each failure (counted from 1) up to `maxMs`, and is then spread over its upper half,
 * so that many clients of a restarted server do not come back together and none comes back at once. `random` in [0, 1).
 */
export function backoffMs(failures: number, { firstMs, maxMs }: Backoff, random: number, askedMs = 0): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  const full = Math.min(maxMs, firstMs * 2 ** exponent);
  return Math.max(Math.round(full * (0.5 + random / 2)), Math.min(askedMs, maxMs));
}
