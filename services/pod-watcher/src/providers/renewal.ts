/** What is known of an answer: when it was asked for and until when it may be used, ms of one clock. */
export interface Lifetime {
  readonly askedAtMs: number;
  readonly expiresAtMs: number;
}

export type Renewal =
  | { readonly ask: false; readonly reason: 'fresh' | 'just-renewed' }
  | { readonly ask: true; readonly reason: 'unknown' | 'expired' | 'ageing' | 'refused'; readonly fallBack: boolean };

/** An answer is renewed when so much of its life has passed. */
const LIFE = 0.8;
/** Refusals ask for nothing new sooner than this after the last answer, or a tenth of its life when that is shorter. */
const FORCED_AT_MOST_EVERY_MS = 10_000;

/**
 * Whether an answer has to be asked for: unknown; expired; refused by its registry (`forced`), unless it was asked for a moment ago (a
 * registry that refuses everything would cost a question per pull); four fifths of its life over. `fallBack`: the old one still opens
 * doors, should the new one not come.
 */
export function renewal(known: Lifetime | undefined, nowMs: number, { forced }: { readonly forced: boolean }): Renewal {
  if (known === undefined) return { ask: true, reason: 'unknown', fallBack: false };
  if (nowMs >= known.expiresAtMs) return { ask: true, reason: 'expired', fallBack: false };
  const life = known.expiresAtMs - known.askedAtMs;
  if (forced) {
    const since = nowMs - known.askedAtMs;
    if (since < Math.min(FORCED_AT_MOST_EVERY_MS, life / 10)) return { ask: false, reason: 'just-renewed' };
    return { ask: true, reason: 'refused', fallBack: false };
  }
  if (nowMs >= known.askedAtMs + life * LIFE) return { ask: true, reason: 'ageing', fallBack: true };
  return { ask: false, reason: 'fresh' };
}
