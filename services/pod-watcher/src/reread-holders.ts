import { setImmediate as turn } from 'node:timers/promises';
import type { ClusterView } from './cluster-view.ts';

/** Holders between which others get their turn. */
const SLICE = 200;

/** Decides every known pod and workload anew, in slices, until it is through or `stale` (newer rules came, or the service ends). */
export async function rereadHolders(
  view: Pick<ClusterView, 'rereadHolder'> & { readonly usage: Pick<ClusterView['usage'], 'keys'> },
  stale: () => boolean,
): Promise<void> {
  let left = SLICE;
  for (const key of [...view.usage.keys()]) {
    view.rereadHolder(key);
    left -= 1;
    if (left > 0) continue;
    await turn();
    if (stale()) return;
    left = SLICE;
  }
}
