import type { Span, SpanSet } from './span-set.ts';

/** An upstream read under way: its next byte, and where it will end. */
export interface Reading {
  readonly at: number;
  readonly to: number;
}

/** A reader that far ahead of the read that would reach it gets a read of its own: a range of the middle does not wait for all before it. */
export const NEAR_BYTES = 8 * 1024 * 1024;

/** The bytes are here; a read under way brings them; read this span, which the readings that it takes from must end at. */
export type NextRead = { do: 'serve'; to: number } | { do: 'wait' } | { do: 'read'; span: Span };

/**
 * What a reader at byte `at` needs. Rules, in order:
 *
 * 1. What is known is served.
 * 2. What a read under way is about to bring is waited for.
 * 3. Anything else is read, up to where known bytes or another read begin; a read that was to come here later ends where this one begins.
 */
export function nextRead(have: SpanSet, readings: readonly Reading[], at: number, size: number): NextRead {
  const known = have.endOf(at);
  if (known > at) return { do: 'serve', to: known };
  if (readings.some((reading) => reading.at <= at && at < reading.to && at - reading.at < NEAR_BYTES))
    return { do: 'wait' };
  const ends = [have.startAfter(at), ...readings.filter((reading) => reading.at > at).map((reading) => reading.at)];
  return { do: 'read', span: { from: at, to: Math.min(size, ...ends.filter((end) => end !== undefined)) } };
}

/** Whether every byte is known or about to be: then the digest of the whole will be, too. */
export function willBeWhole(have: SpanSet, readings: readonly Reading[], size: number): boolean {
  let at = 0;
  while (at < size) {
    const reach = Math.max(have.endOf(at), ...readings.filter((r) => r.at <= at && at < r.to).map(({ to }) => to));
    if (reach <= at) return false;
    at = reach;
  }
  return true;
}
