import { CacheDown, CacheMiss } from './cache-access.ts';
import { isNoSuchImage, isSilence, UpstreamFailure } from './failure.ts';
import type { Seen } from './route.ts';

/** What one more failed step of a plan has shown. Throws what is no answer of a place: it ends the plan. */
export function look(seen: Seen, error: unknown): Seen {
  if (error instanceof CacheMiss) return seen;
  if (error instanceof CacheDown) return { ...seen, cacheDown: true, cacheSpared: seen.cacheSpared || error.spared };
  if (error instanceof UpstreamFailure) {
    return { ...seen, upstreamSilent: seen.upstreamSilent || isSilence(error), noSuchImage: isNoSuchImage(error) };
  }
  throw error;
}
