import { isKubeError, KubeError } from '../kube-error.ts';
import { collectionPath } from '../paths.ts';
import type { KubeObject, Resource, WatchEvent, WatchOptions } from '../port.ts';
import type { History, Recorded } from './history.ts';
import { selects } from './selectors.ts';

/** What ends all open watches: a number that grows, and why the last end was. */
export interface WatchEnds {
  count: number;
  error: KubeError | undefined;
}

/** The twin's watch: first what happened since the version, then what happens; a bookmark before the time is up. */
export async function* memoryWatch<T extends KubeObject>(
  history: History,
  ends: WatchEnds,
  resource: Resource,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { signal, timeoutSeconds = 0, idleTimeoutMs = 0, onContact } = options;
  const collection = collectionPath(resource);
  const endsBefore = ends.count;
  let version = Number(options.resourceVersion);
  let timeUp = false;
  let silent = false;
  let wake = (): void => undefined;
  const rouse = (): void => wake();
  const unsubscribe = history.onNews(rouse);
  signal?.addEventListener('abort', rouse);
  const limit = timeoutSeconds > 0 ? setTimeout(() => ((timeUp = true), wake()), timeoutSeconds * 1000) : undefined;
  const idle = idleTimeoutMs > 0 ? setTimeout(() => ((silent = true), wake()), idleTimeoutMs) : undefined;
  try {
    onContact?.();
    for (;;) {
      if (signal?.aborted === true)
        throw new KubeError('aborted', `cannot watch ${resource.plural}: aborted by the caller`);
      if (ends.count !== endsBefore) {
        if (ends.error === undefined) return;
        throw ends.error;
      }
      for (const record of history.after(version, collection)) {
        version = record.version;
        const event = eventOf<T>(record, options);
        if (event === undefined) continue;
        idle?.refresh();
        onContact?.();
        yield event;
      }
      if (timeUp) {
        yield { type: 'BOOKMARK', resourceVersion: String(history.version) };
        return;
      }
      if (silent) throw new KubeError('timeout', `cannot watch ${resource.plural}: silence for ${idleTimeoutMs} ms`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        const news = ends.count !== endsBefore || signal?.aborted === true || timeUp || silent;
        if (news || hasNews(history, version, collection)) resolve();
      });
    }
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', rouse);
    clearTimeout(limit);
    clearTimeout(idle);
  }
}

function hasNews(history: History, version: number, collection: string): boolean {
  try {
    return history.after(version, collection).length > 0;
  } catch (error) {
    return isKubeError(error, 'gone');
  }
}

/** An object that comes into a selection is added, one that leaves it is deleted. */
function eventOf<T extends KubeObject>(
  { object, old, gone }: Recorded,
  options: WatchOptions,
): WatchEvent<T> | undefined {
  const was = old !== undefined && selects(options, old);
  const is = !gone && selects(options, object);
  if (!was && !is) return undefined;
  const type = !is ? 'DELETED' : was ? 'MODIFIED' : 'ADDED';
  return { type, object: structuredClone(object) as T };
}
