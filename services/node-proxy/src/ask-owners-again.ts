/** So long the rest of a body is waited for that copiers began to give: one that restarts is back before. */
export const RETURN_MS = 5_000;

/** How a round over the copiers that are known went in vain, and for what. */
export interface VainRound {
  /** The client has a part of the body already. */
  readonly begun: boolean;
  /** No copier answered at all; else one did and had its reasons. */
  readonly allAway: boolean;
  /** Copiers that said lately that they are there. */
  readonly known: number;
  /** Since the first round. */
  readonly sinceMs: number;
}

/** `again`: a moment later. `alone`: from upstream, without storing. */
export type AfterVainRound =
  | { readonly do: 'again'; readonly why: 'MayReturn' }
  | { readonly do: 'alone'; readonly why: 'NothingBegun' | 'ToldToGo' | 'NobodyKnown' | 'WaitedEnough' };

/**
 * What to do when no copier gives a blob. Rules, in order:
 *
 * 1. Who waits for a first byte waits for nobody else.
 * 2. A copier that answers knows why it does not give it.
 * 3. Without a copier that was there a moment ago nobody returns.
 * 4. The rest of a body is worth a few seconds: read alone, it is read once more for each client.
 */
export function afterVainRound({ begun, allAway, known, sinceMs }: VainRound): AfterVainRound {
  if (!begun) return { do: 'alone', why: 'NothingBegun' };
  if (!allAway) return { do: 'alone', why: 'ToldToGo' };
  if (known === 0) return { do: 'alone', why: 'NobodyKnown' };
  if (sinceMs >= RETURN_MS) return { do: 'alone', why: 'WaitedEnough' };
  return { do: 'again', why: 'MayReturn' };
}
