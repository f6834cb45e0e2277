import type { Leadership, ObjectName, Reflector } from './port.ts';

/** What is read of a collection while this replica leads; empty and not synced otherwise. */
export interface LeaderCopy<P> extends Pick<Reflector<P>, 'get' | 'values' | 'synced'> {
  readonly name: string;
  start(): Promise<void>;
  close(): Promise<void>;
  /** A replica that stands by is ready: it needs no list before it leads. */
  notReady(): string | undefined;
}

/**
 * Holds a local copy for as long as this replica leads: who stands by neither lists nor watches, and a new leader decides only on what it
 * listed since it leads. `open` makes the copy of one term.
 */
export function leaderCopy<P>(
  name: string,
  leadership: Pick<Leadership, 'isLeader' | 'onChange'>,
  open: () => Reflector<P>,
): LeaderCopy<P> {
  let current: Reflector<P> | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  let closed = false;
  const turn = (leader: boolean): void => {
    if (leader && current === undefined && !closed) {
      current = open();
      current.start();
    } else if (!leader && current !== undefined) {
      ended = Promise.all([ended, current.stop()]);
      current = undefined;
    }
  };
  return {
    name,
    start() {
      leadership.onChange(turn);
      turn(leadership.isLeader());
      return Promise.resolve();
    },
    async close() {
      closed = true;
      turn(false);
      await ended;
    },
    notReady: () => (current === undefined || current.synced() ? undefined : `the list of ${name} is not complete`),
    get: (object: ObjectName) => current?.get(object),
    values: () => current?.values() ?? [].values(),
    synced: () => current?.synced() ?? false,
  };
}
