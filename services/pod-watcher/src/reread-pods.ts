import { setImmediate as turn } from 'node:timers/promises';
import type { ClusterView } from './cluster-view.ts';

/** Pods between which others get their turn. */
const SLICE = 200;

/** Decides every known pod anew, in slices, until it is through or `stale` (newer rules came, or the service ends). */
export async function rereadPods(
  view: Pick<ClusterView, 'rereadPod'> & { readonly usage: Pick<ClusterView['usage'], 'podKeys'> },
  stale: () => boolean,
): Promise<void> {
  let left = SLICE;
  for (const key of [...view.usage.podKeys()]) {
    view.rereadPod(key);
    left -= 1;
    if (left > 0) continue;
    await turn();
    if (stale()) return;
    left = SLICE;
  }
}
