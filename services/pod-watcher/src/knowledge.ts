import type { FeedState } from './feed.ts';

/**
 * How much is known of who holds images. `complete`: everything. `partial`: all but what we may not read. `pending`: lists are still
 * on their way. Whoever is known to hold an image holds it in any case; that nobody does can be said of `complete` alone.
 */
export interface HolderKnowledge {
  readonly state: 'complete' | 'partial' | 'pending';
  /** The collections that are not known, as people are told, sorted. */
  readonly unread: readonly string[];
}

export const COMPLETE: HolderKnowledge = { state: 'complete', unread: [] };

/** What follows from the states of all collections. No collection at all is nothing known. */
export function knowledgeOf(feeds: readonly { readonly id: string; readonly state: FeedState }[]): HolderKnowledge {
  const unread = feeds.filter(({ state }) => state === 'refused' || state === 'pending');
  const ids = unread.map(({ id }) => id).sort();
  if (feeds.length === 0 || unread.some(({ state }) => state === 'pending')) return { state: 'pending', unread: ids };
  return ids.length === 0 ? COMPLETE : { state: 'partial', unread: ids };
}
