/** A registry that limits us without saying for how long is first left alone for up to this long. */
const FIRST_MS = 60_000;
const MAX_MS = 3_600_000;
/** Nobody comes back sooner, whatever chance says; "Retry-After: 0", said again and again, is not taken at its word. */
const LEAST_MS = 1_000;
/** So many limits in a row make a difference: 2^6 times either bound is beyond its end. */
const GROWS = 7;
/** Limits that are this far apart have nothing to do with each other. */
export const PARKS_FORGOTTEN_MS = 3_600_000;

/**
 * Whether a registry's failure parks it for everybody, and by which word of its own: it limits us, or says when it will be there again. That
 * is taken at its word for a minute: unlike a quota, it may be back sooner. Undefined: it does not. `code` is a RegistryError's.
 */
export function asksForTime({
  code,
  retryAfterMs,
}: {
  readonly code: string;
  readonly retryAfterMs?: number | undefined;
}): { readonly retryAfterMs?: number | undefined } | undefined {
  if (code === 'rate-limited') return { retryAfterMs };
  if (code === 'server-error' && retryAfterMs !== undefined) return { retryAfterMs: Math.min(retryAfterMs, FIRST_MS) };
  return undefined;
}

/**
 * For how long a registry that limited us is left alone, ms: its own word when it gave one (at least a second, doubled with each limit in
 * a row, up to a minute), else anything up to a minute, doubled likewise, up to an hour (full jitter). `times`: limits in a
 * row, this one included; `random` in [0, 1).
 */
export function parkLengthMs(
  { retryAfterMs, times }: { readonly retryAfterMs?: number | undefined; readonly times: number },
  random: number,
): number {
  const doubled = 2 ** Math.min(Math.max(times, 1) - 1, 20);
  if (retryAfterMs !== undefined) return Math.max(retryAfterMs, Math.min(FIRST_MS, LEAST_MS * doubled));
  return LEAST_MS + Math.floor(random * (Math.min(MAX_MS, FIRST_MS * doubled) - LEAST_MS));
}

/** The same for the first limit in a row, the second and so on, whole ms; the last one is that of all others. */
export function parkLengths(retryAfterMs: number | undefined, random: number): number[] {
  return Array.from({ length: GROWS }, (_, before) =>
    Math.ceil(parkLengthMs({ retryAfterMs, times: before + 1 }, random)),
  );
}
