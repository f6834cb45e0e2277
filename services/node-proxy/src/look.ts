import { RegistryError } from '@kuik/registry';
import { CacheDown, CacheMiss } from './cache-access.ts';
import { isNoSuchImage, isSilence, UpstreamFailure } from './failure.ts';
import { placeOf, type Seen, type Step } from './route.ts';

/** What one more failed step of a plan has shown. Throws what is no answer of a place: it ends the plan. */
export function look(seen: Seen, error: unknown, step: Pick<Step, 'from' | 'repository'>): Seen {
  if (error instanceof CacheMiss) return seen;
  if (error instanceof CacheDown) {
    const cacheSpared = seen.cacheSpared || error.spared;
    return { ...seen, cacheDown: true, cacheSpared, hung: hungBy(seen, error, step) };
  }
  if (error instanceof UpstreamFailure) {
    return {
      ...seen,
      upstreamSilent: seen.upstreamSilent || isSilence(error),
      noSuchImage: isNoSuchImage(error),
      hung: hungBy(seen, error, step),
    };
  }
  throw error;
}

/** A time-out of the registry client; our own patience with a question says nothing about the next one. */
function hungBy({ hung }: Seen, { cause }: Error, step: Pick<Step, 'from' | 'repository'>): readonly string[] {
  return cause instanceof RegistryError && cause.code === 'timeout' ? [...hung, placeOf(step)] : hung;
}
