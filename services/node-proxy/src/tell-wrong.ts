import { ERROR_CODES, METRICS } from '@kuik/contracts';
import { repositoryName } from '@kuik/image';
import type { ServiceContext } from '@kuik/runtime';
import type { CacheMisses } from './cache-misses.ts';
import type { Repository } from './pull-path.ts';

/** Tells of bytes in the cache that are not what their digest says: counted, logged with what to do, and reported with what the cache lacks. */
export function tellWrong(
  misses: Pick<CacheMisses, 'add'>,
  { log, metrics, clock }: Pick<ServiceContext, 'log' | 'metrics' | 'clock'>,
): (repository: Repository, what: string) => void {
  const wrong = metrics.counter(METRICS.proxyCacheWrong);
  const { code, remedy } = ERROR_CODES.cacheDamaged;
  return (repository, what) => {
    wrong.inc();
    misses.add(repository, what, clock.now(), { wrong: true });
    log.error('cache holds wrong bytes', { repository: repositoryName(repository), what, code, remedy });
  };
}
