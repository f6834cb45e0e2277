import type { KnownQuota, QuotaWord } from './port.ts';

/** A floor is not believed for ever: after this long one request may find out whether it still holds (a HEAD costs no quota). */
export const FLOOR_PROBE_MS = 5 * 60_000;
/** What a registry that names no window is believed for. */
const WINDOW_DEFAULT_MS = 3_600_000;

/**
 * A registry's newest word about one identity's quota, laid over what was known (`now`: epoch ms). The window began when the quota was
 * last seen to grow, or is over: so `sinceMs` plus the window is when all that was spent is back, at the latest.
 */
export function foldWord(
  before: KnownQuota | undefined,
  word: QuotaWord,
  background: boolean,
  now: number,
): KnownQuota {
  const { limit, remaining, windowSeconds } = word;
  const next = {
    ...(limit === undefined ? {} : { limit }),
    ...(remaining === undefined ? {} : { remaining }),
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
  };
  const goesOn =
    before !== undefined &&
    now < resetAtOf(before) &&
    (before.remaining === undefined || remaining === undefined || remaining <= before.remaining);
  const heard = background || before?.background === true;
  return { ...next, atMs: now, sinceMs: goesOn ? before.sinceMs : now, ...(heard ? { background: true } : {}) };
}

/** When the quota is whole again at the latest, epoch ms; what is known of it says nothing from then on. */
export function resetAtOf({ sinceMs, windowSeconds }: KnownQuota): number {
  return sinceMs + (windowSeconds === undefined ? WINDOW_DEFAULT_MS : windowSeconds * 1_000);
}

/** Of what is known at `now`, the quota with the least share left; undefined: nothing is known. */
export function scarcest(quotas: Iterable<KnownQuota>, now: number): KnownQuota | undefined {
  const known = [...quotas].filter((quota) => resetAtOf(quota) > now && quota.remaining !== undefined);
  return known.sort((a, b) => shareOf(a) - shareOf(b) || b.atMs - a.atMs)[0];
}

/**
 * How long work that nobody waits for leaves a registry alone (ms, 0: go), because less than `floor` of a quota is left. Only quotas that
 * such work has met count: a node with an address of its own spends a quota of its own.
 */
export function floorWaitMs(quotas: Iterable<KnownQuota>, floor: number, now: number): number {
  const least = scarcest(
    [...quotas].filter(({ background }) => background === true),
    now,
  );
  if (least === undefined || shareOf(least) >= floor) return 0;
  return Math.max(0, Math.min(least.atMs + FLOOR_PROBE_MS, resetAtOf(least)) - now);
}

/** Left of the whole, 0 to 1. A registry that names no limit is only low when nothing is left. */
function shareOf({ limit, remaining = 0 }: KnownQuota): number {
  return limit === undefined || limit <= 0 ? Math.min(1, remaining) : remaining / limit;
}
