import { type CachedImage, type CacheStanza, copyAskedAt, HISTORY_MAX, stanzaOf } from '@kuik/contracts';
import { type CopyTarget, forceWish } from './decide.ts';

/** What a finished copy tells; see `copyImage` of the registry package. */
export interface CopyResult {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: number;
  readonly platforms: readonly string[];
  /** Of the index, not in the cache. */
  readonly platformsOnDemand: readonly string[];
  /** Wanted, and not to be had upstream. */
  readonly platformsAbsent: readonly string[];
  /** Kept because they were pulled, not because a node runs them. */
  readonly platformsPulled: readonly string[];
  readonly blobs: {
    readonly total: number;
    readonly copied: number;
    readonly mounted: number;
    readonly present: number;
  };
  readonly bytesCopied: number;
  /** What refers to it; absent when nobody looked. */
  readonly referrers?: { readonly count: number; readonly problem?: string };
  /** Requests upstream that the look for them took, and what ended it. */
  readonly looked?: { readonly requests: number; readonly failure?: unknown };
  /** When upstream showed the repository to this copy, which brought no credential; epoch ms. */
  readonly publicAt?: number;
}

/** What is said of an image that could not be copied: what was, unless that is gone; and what of it was found to be damaged. */
export function kept(image: CachedImage, lost: boolean, damaged?: readonly string[]): CacheStanza {
  const before = stanzaOf(image, 'cache');
  if (before === undefined || lost) return { forUid: image.metadata.uid };
  const { copying: _left, ...rest } = before;
  return { ...rest, ...(damaged === undefined ? {} : { damaged: [...damaged] }) };
}

/** What is said of an image that was copied now. */
export function copied(image: CachedImage, target: CopyTarget, result: CopyResult, now: Date): CacheStanza {
  const forced = forceWish(image);
  return {
    ...described(image, target, result),
    ...historyOf(image, result.digest, now),
    copiedAt: now.toISOString(),
    ...askedOf(image, target, result),
    ...(target.pin === undefined ? {} : { pinned: target.pin.digest }),
    ...(forced === undefined ? {} : { forced }),
  };
}

/** What is verified is looked for as the digest that was there: what its name stands for upstream nobody asked. */
function askedOf(image: CachedImage, { verify }: CopyTarget, { digest }: CopyResult): Pick<CacheStanza, 'askedAt'> {
  const before = verify === digest ? copyAskedAt(stanzaOf(image, 'cache')) : undefined;
  return before === undefined ? {} : { askedAt: before };
}

/** What the tag named before, with what it leaves now. */
function historyOf(image: CachedImage, digest: string, now: Date): Pick<CacheStanza, 'history'> {
  const { digest: left, history = [] } = stanzaOf(image, 'cache') ?? {};
  if (left === undefined || left === digest) return history.length === 0 ? {} : { history };
  const before = history.filter((entry) => entry.digest !== digest && entry.digest !== left);
  return { history: [{ digest: left, at: now.toISOString() }, ...before].slice(0, HISTORY_MAX) };
}

/** What the cache holds; without a time of copying when nobody copied it now. */
export function described(image: CachedImage, target: CopyTarget, result: CopyResult): CacheStanza {
  return {
    forUid: image.metadata.uid,
    digest: result.digest,
    mediaType: result.mediaType,
    tag: target.cacheTag,
    platforms: [...result.platforms],
    ...(result.platformsOnDemand.length === 0 ? {} : { platformsOnDemand: [...result.platformsOnDemand] }),
    ...(result.platformsAbsent.length === 0 ? {} : { platformsAbsent: [...result.platformsAbsent] }),
    ...(result.platformsPulled.length === 0 ? {} : { platformsPulled: [...result.platformsPulled] }),
    ...referrersOf(image, result),
    ...publicOf(image, result),
    bytes: result.bytes,
    blobs: result.blobs.total,
    sharedBlobs: result.blobs.mounted + result.blobs.present,
  };
}

/** What is known of an image's referrers: what this copy found, else what an earlier one of the same digest did. */
function referrersOf(image: CachedImage, { digest, referrers }: CopyResult): Partial<CacheStanza> {
  const before = stanzaOf(image, 'cache');
  const [count = 0, left] =
    referrers !== undefined
      ? [referrers.count, referrers.problem]
      : before?.digest === digest
        ? [before.referrers, before.referrersLeft]
        : [];
  return { ...(count === 0 ? {} : { referrers: count }), ...(left === undefined ? {} : { referrersLeft: left }) };
}

/** A copy that brings a credential says nothing of strangers: what was seen before stays, with its time. */
function publicOf(image: CachedImage, { publicAt }: CopyResult): Pick<CacheStanza, 'publicAt'> {
  const known = publicAt === undefined ? stanzaOf(image, 'cache')?.publicAt : new Date(publicAt).toISOString();
  return known === undefined ? {} : { publicAt: known };
}
