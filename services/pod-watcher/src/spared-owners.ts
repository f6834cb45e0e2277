import { readSparedOwner, SPARED_OWNERS, type SparedOwner, writeSparedOwner } from '@kuik/contracts';
import type { Fight } from './fighting-owners.ts';

/** The entries of the ConfigMap. */
export type Entries = Readonly<Record<string, string>>;
/** What to write into it: null takes an entry away. */
export type Changes = Readonly<Record<string, string | null>>;

/** Owners that are spared at once; a value of ours is at most about 1 KiB, and a ConfigMap holds 1 MiB. */
export const SPARED_MAX = 500;
/** Uids that the admission policy surely holds: with about 2,500 the API server refuses it as too large. */
const POLICY_HOLDS = 2_000;
const DAY_MS = 86_400_000;

/** The changes that spare an owner; so that there are not too many, those that were spared longest ago go. Entries of persons stay. */
export function sparing(entries: Entries, { owner, namespace, from, to, count }: Fight, now: number): Changes {
  const { uid, ...named } = owner;
  const ours = read(entries).sort(([, a], [, b]) => Date.parse(a.since) - Date.parse(b.since));
  const over = Math.max(Object.keys(entries).length + 1 - SPARED_MAX, 0);
  const since = new Date(now).toISOString();
  return {
    ...Object.fromEntries(ours.slice(0, over).map(([old]) => [old, null])),
    [uid]: writeSparedOwner({ ...named, namespace, since, from, to, count }),
  };
}

/**
 * The changes that keep the entries current: an owner without pods for `rememberMs` goes; of one that has some the day is noted, once a day.
 * Undefined when there is nothing to do. What is not ours stays as it is. `hasPods` must know of every pod.
 */
export function tidying(
  entries: Entries,
  hasPods: (ownerUid: string) => boolean,
  now: number,
  rememberMs: number,
): Changes | undefined {
  const changes: Record<string, string | null> = {};
  for (const [uid, entry] of read(entries)) {
    const knownMs = now - lastKnown(entry);
    if (knownMs < DAY_MS && knownMs < rememberMs) continue;
    if (!hasPods(uid)) {
      if (knownMs >= rememberMs) changes[uid] = null;
    } else if (knownMs >= DAY_MS) {
      changes[uid] = writeSparedOwner({ ...entry, seen: new Date(now).toISOString().slice(0, 10) });
    }
  }
  return Object.keys(changes).length === 0 ? undefined : changes;
}

/** What is to be said while persons spare nearly as many owners as the admission policy can name; undefined when there is room. */
export function crowding(entries: Entries, namespace: string): string | undefined {
  const uids = Object.keys(entries).length;
  if (uids <= POLICY_HOLDS) return undefined;
  return (
    `ConfigMap ${namespace}/${SPARED_OWNERS} names ${uids} owners, and beyond about 2,500 the admission policy is too large for the API server: ` +
    'take those away that are no more, or leave them out by an object selector of the rules'
  );
}

/** What the owner's event says; what cannot be left out comes first, since long texts are cut. `namespace` is our own. */
export function rewriteStopped({ owner: { uid }, from, to, count }: Fight, namespace: string): string {
  const undo = `kubectl -n ${namespace} patch configmap ${SPARED_OWNERS} --type=json -p='[{"op":"remove","path":"/data/${uid}"}]'`;
  return (
    `Its pods are cached but not rewritten any more (rule sparedOwners.${uid}): ${count} in a row were deleted and made anew. ` +
    `To have them rewritten again: ${undo}. Image: ${from}, rewritten to ${to}`
  );
}

function read(entries: Entries): [string, SparedOwner][] {
  return Object.entries(entries).flatMap(([uid, value]): [string, SparedOwner][] => {
    const entry = readSparedOwner(value);
    return entry === undefined ? [] : [[uid, entry]];
  });
}

/** When it was last known to have pods, epoch ms. */
function lastKnown({ since, seen }: SparedOwner): number {
  return Math.max(Date.parse(since), seen === undefined ? 0 : Date.parse(seen));
}
