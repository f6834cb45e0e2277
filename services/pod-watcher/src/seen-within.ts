import type { ClusterView } from './cluster-view.ts';

/**
 * What `look` finds in the view: now, or as soon as the watches show it; undefined when `withinMs` is over first. A pod may be so new that its
 * watch event is still on its way.
 */
export function seenWithin<T>(
  view: Pick<ClusterView, 'listen'>,
  look: () => T | undefined,
  withinMs: number,
): Promise<T | undefined> {
  const found = look();
  if (found !== undefined) return Promise.resolve(found);
  return new Promise((resolve) => {
    const end = (seen: T | undefined): void => {
      clearTimeout(timer);
      stop();
      resolve(seen);
    };
    const again = (): void => {
      const seen = look();
      if (seen !== undefined) end(seen);
    };
    const stop = view.listen({ holderChanged: again, repositoryChanged: again, relisted: again });
    const timer = setTimeout(() => end(undefined), withinMs);
  });
}
