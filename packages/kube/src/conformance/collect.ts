import type { KubeClient, KubeObject, Resource, WatchEvent, WatchOptions } from '../port.ts';

/** The first `count` events of a watch that are no bookmarks. Fails when they do not come within 10 s. */
export async function firstEvents<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  options: WatchOptions,
  count: number,
): Promise<Exclude<WatchEvent<T>, { type: 'BOOKMARK' }>[]> {
  const events: Exclude<WatchEvent<T>, { type: 'BOOKMARK' }>[] = [];
  for await (const event of client.watch<T>(resource, { idleTimeoutMs: 10_000, ...options })) {
    if (event.type === 'BOOKMARK') continue;
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

/** All permutations. */
export function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first, i) => ordersOf(items.filter((_, at) => at !== i)).map((rest) => [first, ...rest]));
}
