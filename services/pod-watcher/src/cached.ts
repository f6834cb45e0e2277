import { type CachedImage, type CacheStanza, type RemovalStanza, stanzaOf } from '@kuik/contracts';

/** Where an image's bytes stand, read from the copier's and gc's stanzas together. */
export interface Holding {
  /** The copier's stanza, when it speaks of this object. */
  readonly cache: CacheStanza | undefined;
  readonly removal: RemovalStanza | undefined;
  /** The cache holds it under its tag: it was copied, and not removed since. */
  readonly cached: boolean;
  /** gc removed the tag, and nobody has copied since. */
  readonly removed: boolean;
}

/** A copy counts until gc removed the tag; a copy after that counts again. */
export function holdingOf(image: CachedImage): Holding {
  const cache = stanzaOf(image, 'cache');
  const removal = stanzaOf(image, 'removal');
  const removedAt = removal?.removedAt;
  const copiedSince =
    removedAt !== undefined && cache?.copiedAt !== undefined && Date.parse(cache.copiedAt) > Date.parse(removedAt);
  const removed = removedAt !== undefined && !copiedSince;
  return { cache, removal, cached: cache?.digest !== undefined && !removed, removed };
}

/** The copy that is under way, as its worker told; undefined when there is none, or when it has not been heard of for too long. */
export function copyingNow(cache: CacheStanza | undefined, now: number): CacheStanza['copying'] {
  const copying = cache?.copying;
  return copying !== undefined && Date.parse(copying.until) > now ? copying : undefined;
}
