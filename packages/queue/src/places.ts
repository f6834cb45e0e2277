import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './port.ts';

/** A place whose holder is not heard of for this long is free. */
export const PLACE_LOCK_MS = 15_000;
const RENEWED_EVERY_MS = PLACE_LOCK_MS / 3;
/** Between two looks of one who waits: half of it at least. */
const LOOK_AGAIN_MS = 400;

/** Where places are kept. Neither call throws; what cannot be asked has room for everybody. */
export interface PlaceStore {
  /** Takes a place for `who`, or holds on to the one that it has; false: all are taken. */
  enter(who: string): Promise<boolean>;
  leave(who: string): Promise<void>;
}

/** Waits for a place, and holds on to it until it is left. Throws the signal's reason. */
export async function takePlace(store: PlaceStore, signal: AbortSignal): Promise<Place> {
  const who = randomUUID();
  while (!(await store.enter(who))) {
    await sleep(LOOK_AGAIN_MS * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  const renewing = setInterval(() => void store.enter(who), RENEWED_EVERY_MS).unref();
  return {
    leave: () => {
      clearInterval(renewing);
      return store.leave(who);
    },
  };
}

/** What whoever needs none is given. */
export const NO_PLACE: Place = { leave: () => Promise.resolve() };
