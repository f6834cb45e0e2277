import { FINALIZER, FINALIZERS_V1, stanzaOf, type CachedImage } from '@kuik/contracts';

/** Why an image goes, stays or waits. Stable: they reach status, events, logs and metrics unchanged. */
export const REASONS = {
  deleted: 'Deleted',
  retained: 'Retained',
  holdersUnknown: 'HoldersUnknown',
  inUse: 'InUse',
  notExpired: 'NotExpired',
  expired: 'Expired',
  unused: 'Unused',
  grace: 'Grace',
  cacheFails: 'CacheFails',
  manifestUnread: 'ManifestUnread',
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/**
 * `condemn`: write the stanza and tell; `keep`: withdraw it; `recall`: withdraw it if the bytes are there yet; `wait`: nodes are being told; `remove`: the bytes may go, if nobody holds
 * them; `finish`: as `remove`, begun before; `release`: a person deleted the resource; `leave`: nothing to do.
 */
export type Verdict =
  | { readonly do: 'condemn' | 'keep' | 'recall' | 'remove' | 'finish' | 'release' | 'leave'; readonly reason: string }
  | { readonly do: 'wait'; readonly reason: string; readonly until: number };

/**
 * What is to be done with an image now (epoch ms). The first rule that applies:
 * 1. it is being deleted: released when it has a finalizer of ours;
 * 2. not condemned: condemned when it has expired, else left;
 * 3. removed already: finished while it is still expired, condemned anew when it was copied since; while nobody knows who holds it: left;
 *    not expired any more: kept when it was copied since, else recalled (its removal may not have come to the bytes), or brought back by the copier;
 * 4. condemned, and not expired any more: kept (while nobody knows who holds it: left);
 * 5. condemned: waits for its grace, then removed.
 */
export function verdict(image: CachedImage, now: number, graceMs: number): Verdict {
  if (image.metadata.deletionTimestamp !== undefined) {
    return { do: finalizersOf(image).length > 0 ? 'release' : 'leave', reason: REASONS.deleted };
  }
  const { expired, reason } = expiry(image, now);
  const removal = stanzaOf(image, 'removal');
  if (removal === undefined) return { do: expired ? 'condemn' : 'leave', reason };

  if (removal.removedAt !== undefined) {
    const copiedSince = !isLeaving(image);
    if (expired) return copiedSince ? { do: 'condemn', reason } : { do: 'finish', reason: removal.reason };
    if (reason === REASONS.holdersUnknown) return { do: 'leave', reason };
    return { do: copiedSince ? 'keep' : 'recall', reason };
  }
  if (!expired) return { do: reason === REASONS.holdersUnknown ? 'leave' : 'keep', reason };
  const until = Date.parse(removal.condemnedAt) + graceMs;
  return now < until ? { do: 'wait', reason: REASONS.grace, until } : { do: 'remove', reason: removal.reason };
}

/** Whether an image's removal has begun, and nobody copied it since: nobody counts on its bytes. */
export function isLeaving(image: CachedImage): boolean {
  const removedAt = stanzaOf(image, 'removal')?.removedAt;
  const copiedAt = stanzaOf(image, 'cache')?.copiedAt;
  return removedAt !== undefined && !(copiedAt !== undefined && Date.parse(copiedAt) > Date.parse(removedAt));
}

/**
 * Whether an image has expired. In this order: retained: no; nobody has said who holds it: no; somebody holds it: no; somebody may hold it who could
 * not be seen: no; no date, or a date to come: no; a person's date (`spec.expiresAt`) is past: Expired; the computed one is: Unused.
 */
export function expiry(image: CachedImage, now: number): { expired: boolean; reason: Reason } {
  if (image.spec.retain === true) return { expired: false, reason: REASONS.retained };
  const usedBy = stanzaOf(image, 'usedBy');
  if (usedBy === undefined) return { expired: false, reason: REASONS.holdersUnknown };
  if (usedBy.count > 0) return { expired: false, reason: REASONS.inUse };
  if ((usedBy.unread ?? []).length > 0) return { expired: false, reason: REASONS.holdersUnknown };
  const expiresAt = image.spec.expiresAt ?? image.status?.expiresAt;
  if (expiresAt === undefined || !(Date.parse(expiresAt) <= now)) return { expired: false, reason: REASONS.notExpired };
  return { expired: true, reason: image.spec.expiresAt === undefined ? REASONS.unused : REASONS.expired };
}

/** Those finalizers of an object that are ours to remove, kuik v1's among them. */
export function finalizersOf(image: CachedImage): string[] {
  const ours: readonly string[] = [FINALIZER, ...FINALIZERS_V1];
  return (image.metadata.finalizers ?? []).filter((finalizer) => ours.includes(finalizer));
}
