import {
  type CachedImage,
  type CachedImageStatus,
  type CacheStanza,
  type Condition,
  type ConditionType,
  ERROR_CODES,
  type Phase,
  stanzaOf,
} from '@kuik/contracts';
import { parseDigest } from '@kuik/image';
import { copyingNow, type Holding, holdingOf } from './cached.ts';
import { displayOf, formatBytes } from './display.ts';
import { neverCached } from './never-cached.ts';
import type { RetryTimes } from './next-step.ts';
import { nextTryAt } from './next-try.ts';
import { isOrphaned, type UpstreamView, upstreamView } from './upstream-view.ts';

/** The derived part of `status`: phase, conditions, printer columns, kuik v1's flat fields. */
export type Summary = Pick<
  CachedImageStatus,
  | 'phase'
  | 'conditions'
  | 'display'
  | 'isCached'
  | 'digest'
  | 'upstreamDigest'
  | 'upToDate'
  | 'availableUpstream'
  | 'lastSync'
  | 'lastSuccessfulPull'
  | 'lastSeenUpstream'
>;

export interface SummaryContext {
  /** Epoch ms. */
  readonly now: number;
  readonly retry: RetryTimes;
  /** Names the object that counts when this one does not. */
  readonly duplicateOf?: string | undefined;
}

/**
 * The one summary of all stanzas. Conditions keep their `lastTransitionTime` while their status is the same, so that equal stanzas
 * give an equal summary and nothing is written at rest; times in messages are absolute for the same reason.
 */
export function summarise(image: CachedImage, context: SummaryContext): Summary {
  const holding = holdingOf(image);
  const upstream = upstreamView(image);
  const { cache, cached } = holding;
  const digest = cached ? cache?.digest : undefined;
  return {
    phase: phaseOf(image, holding, upstream, context),
    conditions: conditionsOf(image, holding, upstream, context),
    display: displayOf(image, upstream.state),
    isCached: cached,
    ...(digest === undefined ? {} : { digest: hexOf(digest) }),
    ...(upstream.digest === undefined ? {} : { upstreamDigest: hexOf(upstream.digest) }),
    ...(digest === undefined || upstream.digest === undefined ? {} : { upToDate: digest === upstream.digest }),
    ...(upstream.state === 'Unknown' ? {} : { availableUpstream: isAvailable(upstream) }),
    ...(upstream.lastAsked === undefined ? {} : { lastSync: upstream.lastAsked }),
    ...(cache?.copiedAt === undefined ? {} : { lastSuccessfulPull: cache.copiedAt }),
    ...(upstream.lastSeen === undefined ? {} : { lastSeenUpstream: upstream.lastSeen }),
  };
}

/** The summary that the resource shows now. */
export function recordedSummary(image: CachedImage): Summary {
  const shown: Partial<Record<keyof Summary, unknown>> = {};
  for (const key of SUMMARY_KEYS) if (image.status?.[key] !== undefined) shown[key] = image.status[key];
  return shown as Summary;
}

const SUMMARY_KEYS = [
  'phase',
  'conditions',
  'display',
  'isCached',
  'digest',
  'upstreamDigest',
  'upToDate',
  'availableUpstream',
  'lastSync',
  'lastSuccessfulPull',
  'lastSeenUpstream',
] as const satisfies readonly (keyof Summary)[];

/**
 * In this order: being deleted; a duplicate; condemned by gc; in the cache; never to be cached; being copied; upstream does not have
 * it; upstream limits us, which is waiting; any other failure; waiting for its first copy.
 */
function phaseOf(
  image: CachedImage,
  holding: Holding,
  upstream: UpstreamView,
  { duplicateOf, now }: SummaryContext,
): Phase {
  const { cache, removal, cached } = holding;
  if (image.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (duplicateOf !== undefined) return 'Duplicate';
  if (removal !== undefined && removal.removedAt === undefined) return 'Expiring';
  if (cached) return 'Ready';
  if (neverCached(image) !== undefined) return 'ErrImagePull';
  if (copyingNow(cache, now) !== undefined) return 'Pulling';
  if (upstream.state === 'Deleted') return 'Unavailable';
  if (cache?.error === undefined || cache.error.code === ERROR_CODES.rateLimited.code) return 'Waiting';
  return 'ErrImagePull';
}

interface Draft {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  readonly reason: string;
  readonly message: string;
}

function conditionsOf(
  image: CachedImage,
  holding: Holding,
  upstream: UpstreamView,
  context: SummaryContext,
): Condition[] {
  const { duplicateOf, now } = context;
  const drafts = [
    cachedCondition(image, holding, context),
    upToDateCondition(holding, upstream),
    upstreamCondition(upstream),
    heldCondition(image),
    ...(isOrphaned(image, upstream) ? [orphanedCondition(upstream)] : []),
    ...(duplicateOf === undefined ? [] : [duplicateCondition(duplicateOf)]),
  ];
  return drafts.map((draft) => {
    const before = image.status?.conditions?.find(({ type }) => type === draft.type);
    const unchanged = before?.status === draft.status;
    return { ...draft, lastTransitionTime: unchanged ? before.lastTransitionTime : new Date(now).toISOString() };
  });
}

function cachedCondition(
  image: CachedImage,
  { cache, removal, cached, removed }: Holding,
  { now, retry }: SummaryContext,
): Draft {
  const type = 'Cached';
  const never = neverCached(image);
  if (never !== undefined) return { type, status: 'False', ...never };
  const error = cache?.error;
  const failed = error === undefined ? undefined : `${errorText(error)}${nextTryAt(image, retry)}`;
  if (cached) {
    const holds = `the cache holds ${cache?.digest ?? ''}`;
    const goes = removal?.removedAt === undefined ? removal?.reason : undefined;
    const leaves = goes === undefined ? '' : `; it leaves the cache unless it is used again (${goes})`;
    const damaged = error?.code === ERROR_CODES.cacheDamaged.code;
    const broken = failed === undefined ? '' : damaged ? `; ${failed}` : `; the last copy failed: ${failed}`;
    return { type, status: 'True', reason: damaged ? 'Damaged' : 'Copied', message: holds + leaves + broken };
  }
  const copying = copyingNow(cache, now);
  if (copying !== undefined) {
    const before = error === undefined ? '' : `; the try before failed: ${errorText(error)}`;
    return { type, status: 'False', reason: 'Copying', message: copyingText(copying) + before };
  }
  if (removed) {
    const message = `removed from the cache: ${removal?.reason ?? 'expired'}`;
    return { type, status: 'False', reason: 'Removed', message };
  }
  if (failed !== undefined) return { type, status: 'False', reason: 'CopyFailed', message: failed };
  return { type, status: 'False', reason: 'NotYetCopied', message: 'waits for its first copy' };
}

/** `being copied since 2026-11-28T14:05:10Z: 312 of 1200 MiB` */
function copyingText({ since, bytesDone, bytesTotal }: NonNullable<CacheStanza['copying']>): string {
  const far =
    bytesDone === undefined || bytesTotal === undefined
      ? ''
      : `: ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)} when last told`;
  return `being copied since ${since.slice(0, 19)}Z${far}`;
}

function upToDateCondition({ cache, cached }: Holding, upstream: UpstreamView): Draft {
  const type = 'UpToDate';
  const held = cached ? cache?.digest : undefined;
  if (held === undefined || upstream.digest === undefined) {
    return { type, status: 'Unknown', reason: 'Unknown', message: 'the digests are not both known' };
  }
  if (held === upstream.digest) {
    return { type, status: 'True', reason: 'DigestsEqual', message: 'the cache holds what upstream last showed' };
  }
  return {
    type,
    status: 'False',
    reason: 'TagMoved',
    message: `upstream moved to ${upstream.digest}; the cache holds ${held}`,
  };
}

const UPSTREAM_MESSAGES: Readonly<Record<UpstreamView['state'], string>> = {
  Unknown: 'upstream was not asked yet',
  Available: 'upstream has the image',
  Moved: 'upstream has another image under this tag',
  Deleted: 'upstream does not have the image',
  Unauthorized: 'upstream refuses us',
  RateLimited: 'upstream limits our requests',
  Unreachable: 'upstream cannot be reached',
  Error: 'upstream answered with an error',
};

function upstreamCondition(upstream: UpstreamView): Draft {
  const status = upstream.state === 'Unknown' ? 'Unknown' : isAvailable(upstream) ? 'True' : 'False';
  const why = status === 'False' && upstream.why !== undefined ? `: ${upstream.why}` : '';
  return {
    type: 'UpstreamAvailable',
    status,
    reason: upstream.state,
    message: UPSTREAM_MESSAGES[upstream.state] + why,
  };
}

function orphanedCondition({ lastSeen }: UpstreamView): Draft {
  const since = lastSeen === undefined ? '' : `; last seen there ${lastSeen}`;
  const message = `upstream does not have it any more: the cache holds the only known copy, and keeps it while it is used${since}`;
  return { type: 'Orphaned', status: 'True', reason: 'UpstreamDeleted', message };
}

function heldCondition(image: CachedImage): Draft {
  const type = 'Held';
  const { count = 0, unread = [] } = stanzaOf(image, 'usedBy') ?? {};
  if (count > 0) return { type, status: 'True', reason: 'InUse', message: usedBy(image, count) };
  if (image.spec.retain === true) return { type, status: 'True', reason: 'Retained', message: 'spec.retain keeps it' };
  if (unread.length > 0) {
    const message = `nobody is known to use it, but these cannot be read: ${unread.join(', ')}; it stays until they can`;
    return { type, status: 'Unknown', reason: 'HoldersUnknown', message };
  }
  const { unusedSince, expiresAt } = image.status ?? {};
  const until = expiresAt === undefined ? '' : `; expires at ${expiresAt}`;
  return {
    type,
    status: 'False',
    reason: 'Unused',
    message: unusedSince === undefined ? 'not used yet' : `unused since ${unusedSince}${until}`,
  };
}

/** `used by Deployment shop/web and 12 others`: the first that is shown, so that one look tells what it is for. */
function usedBy(image: CachedImage, count: number): string {
  const [first] = stanzaOf(image, 'usedBy')?.holders ?? [];
  if (first === undefined) return `used by ${count}`;
  const others = count === 1 ? '' : ` and ${count - 1} ${count === 2 ? 'other' : 'others'}`;
  return `used by ${first.kind} ${first.name}${others}`;
}

function duplicateCondition(name: string): Draft {
  const message = `CachedImage ${name} stands for the same image and counts: delete this one`;
  return { type: 'Duplicate', status: 'True', reason: 'SameReference', message };
}

function isAvailable({ state }: UpstreamView): boolean {
  return state === 'Available' || state === 'Moved';
}

function errorText({ code, message }: { code: string; message: string }): string {
  return message.startsWith(code) ? message : `${code} ${message}`;
}

function hexOf(digest: string): string {
  return parseDigest(digest)?.hex ?? digest;
}
