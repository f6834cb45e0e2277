/** So long a former owner that died a moment ago is waited for: a container that restarts is back before. */
export const COMEBACK_MS = 5_000;

/** What is known of a former owner's spool that does not answer now, and of who wants a byte of it. */
export interface Away {
  /** Somebody said lately where it is: it did not leave, and is not gone for long. */
  readonly settled: boolean;
  /** How long it has not answered us. */
  readonly goneMs: number;
  /** The byte that is wanted, and the one that the spool had come to. */
  readonly offset: number;
  readonly upTo: number;
}

/** `wait`: it may be back at once with the byte. `go on`: somebody else is to be asked. */
export type WhileAway =
  | { readonly do: 'wait'; readonly why: 'MayBeBack' }
  | { readonly do: 'go on'; readonly why: 'NeverCameSoFar' | 'Left' | 'WaitedEnough' };

/**
 * What to do while a spool that may hold a byte does not answer. Rules, in order:
 *
 * 1. A byte that it had not come to is nobody's to wait for: readers at the front of a transfer go on at once.
 * 2. One that left, or was silent for longer than a lease, does not come back.
 * 3. One that was waited for long enough is not waited for again before it answers.
 */
export function whileAway({ settled, goneMs, offset, upTo }: Away): WhileAway {
  if (offset >= upTo) return { do: 'go on', why: 'NeverCameSoFar' };
  if (!settled) return { do: 'go on', why: 'Left' };
  if (goneMs >= COMEBACK_MS) return { do: 'go on', why: 'WaitedEnough' };
  return { do: 'wait', why: 'MayBeBack' };
}
