import { FAILURE_CELLS, type FailureCell, isList } from '@kuik/contracts';

/**
 * What the same pull meets as well without being pulled again: a proxy stores nothing, so that a cache which takes nothing in is one that lacks it
 * (who stores is pulled through in shared-failures.int.test.ts); and lists are not told from each other by why they are not there.
 */
export function metAs({ cache, pull, upstream }: FailureCell): FailureCell {
  const lacks =
    cache === 'read-only' || cache === 'disk full' || (isList(pull) && (cache === 'half copied' || cache === 'wiped'));
  return { upstream, pull, cache: lacks ? 'miss' : cache };
}

/** Every place of the table that is pulled. */
export const PULLED_CELLS: readonly FailureCell[] = FAILURE_CELLS.filter((cell) => metAs(cell).cache === cell.cache);
