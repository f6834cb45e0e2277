import type { Span, SpanSet } from './span-set.ts';

/** An upstream read under way: its next byte, and where it will end. */
export interface Reading {
  readonly at: number;
  readonly to: number;
}

/** A reader that far ahead of the read that would reach it gets a read of its own: a range of the middle does not wait for all before it. */
export const NEAR_BYTES = 8 * 1024 * 1024;
/** So long before a read ends in the middle of what somebody wants, the next one begins. */
export const AHEAD_BYTES = 2 * 1024 * 1024;

/** What a transfer has and is about to have. */
export interface Known {
  readonly have: SpanSet;
  readonly readings: readonly Reading[];
}

/** The bytes are here; a read under way brings them; read this span, which the readings that it takes from must end at. */
export type NextRead = { do: 'serve'; to: number } | { do: 'wait' } | { do: 'read'; span: Span };

/**
 * What a reader at byte `at` needs who wants all before `to`. Rules, in order:
 *
 * 1. What is known is served.
 * 2. What a read under way is about to bring is waited for.
 * 3. Anything else is read, no further than it is wanted, up to where known bytes or another read begin; a read that was to come here later
 *    ends where this one begins. While somebody fetches pieces, and beside another read (not the one that it follows), a piece at most: clients that fetch
 *    pieces in parallel ask for each to the end and leave early, and a read that is broken off costs what was on its way.
 */
export function nextRead(
  { have, readings, pieces }: Known & { readonly pieces: boolean },
  at: number,
  to: number,
): NextRead {
  const known = have.endOf(at);
  if (known > at) return { do: 'serve', to: known };
  if (readings.some((reading) => reading.at <= at && at < reading.to && at - reading.at < NEAR_BYTES))
    return { do: 'wait' };
  const ends = [
    have.startAfter(at),
    ...readings.filter((reading) => reading.at > at).map((reading) => reading.at),
    pieces || readings.some((reading) => reading.to !== at) ? at + NEAR_BYTES : undefined,
  ];
  return { do: 'read', span: { from: at, to: Math.min(to, ...ends.filter((end) => end !== undefined)) } };
}

/** What to read before it is needed by a reader at byte `at` who wants all before `to`: what follows a read that is about to end. */
export function readAhead(known: Known & { readonly pieces: boolean }, at: number, to: number): Span | undefined {
  const edge = reach(known, at);
  if (edge >= to || !known.readings.some((reading) => reading.to === edge && edge - reading.at <= AHEAD_BYTES))
    return undefined;
  const next = nextRead(known, edge, to);
  return next.do === 'read' ? next.span : undefined;
}

/** Whether every byte is known or about to be: then the digest of the whole will be, too. */
export function willBeWhole(known: Known, size: number): boolean {
  return reach(known, 0) >= size;
}

/** Up to where every byte from `at` on is known or about to be. */
function reach({ have, readings }: Known, at: number): number {
  for (let edge = at; ;) {
    const next = Math.max(have.endOf(edge), ...readings.filter((r) => r.at <= edge && edge < r.to).map(({ to }) => to));
    if (next <= edge) return edge;
    edge = next;
  }
}
