import {
  type CachedImage,
  type CachedImageStatus,
  type Condition,
  type ConditionType,
  ERROR_CODES,
  type Phase,
  stanzaOf,
} from '@kuik/contracts';
import { parseDigest } from '@kuik/image';
import { type Holding, holdingOf } from './cached.ts';
import { displayOf } from './display.ts';
import { neverCached } from './never-cached.ts';
import { type UpstreamView, upstreamView } from './upstream-view.ts';

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

/**
 * The one summary of all stanzas. Conditions keep their `lastTransitionTime` while their status is the same, so that equal stanzas
 * give an equal summary and nothing is written at rest. `duplicateOf` names the object that counts when this one does not.
 */
export function summarise(image: CachedImage, now: number, duplicateOf?: string): Summary {
  const holding = holdingOf(image);
  const upstream = upstreamView(image);
  const { cache, cached } = holding;
  const digest = cached ? cache?.digest : undefined;
  return {
    phase: phaseOf(image, holding, upstream, duplicateOf),
    conditions: conditionsOf(image, holding, upstream, duplicateOf, now),
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
 * In this order: being deleted; a duplicate; condemned by gc; in the cache; never to be cached; upstream does not have it; upstream limits us, which
 * is waiting; any other failure; waiting for its first copy.
 */
function phaseOf(image: CachedImage, holding: Holding, upstream: UpstreamView, duplicateOf: string | undefined): Phase {
  const { cache, removal, cached } = holding;
  if (image.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (duplicateOf !== undefined) return 'Duplicate';
  if (removal !== undefined && removal.removedAt === undefined) return 'Expiring';
  if (cached) return 'Ready';
  if (neverCached(image) !== undefined) return 'ErrImagePull';
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
  duplicateOf: string | undefined,
  now: number,
): Condition[] {
  const drafts = [
    cachedCondition(image, holding),
    upToDateCondition(holding, upstream),
    upstreamCondition(upstream),
    heldCondition(image),
    ...(duplicateOf === undefined ? [] : [duplicateCondition(duplicateOf)]),
  ];
  return drafts.map((draft) => {
    const before = image.status?.conditions?.find(({ type }) => type === draft.type);
    const unchanged = before?.status === draft.status;
    return { ...draft, lastTransitionTime: unchanged ? before.lastTransitionTime : new Date(now).toISOString() };
  });
}

function cachedCondition(image: CachedImage, { cache, removal, cached, removed }: Holding): Draft {
  const type = 'Cached';
  const never = neverCached(image);
  if (never !== undefined) return { type, status: 'False', ...never };
  if (removed) {
    return {
      type,
      status: 'False',
      reason: 'Removed',
      message: `removed from the cache: ${removal?.reason ?? 'expired'}`,
    };
  }
  const error = cache?.error;
  if (cached) {
    const failed = error === undefined ? '' : `; the last copy failed: ${errorText(error)}`;
    return { type, status: 'True', reason: 'Copied', message: `the cache holds ${cache?.digest ?? ''}${failed}` };
  }
  if (error !== undefined) return { type, status: 'False', reason: 'CopyFailed', message: errorText(error) };
  return { type, status: 'False', reason: 'NotYetCopied', message: 'waits for its first copy' };
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
  Unauthorized: 'upstream refused every credential',
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

function heldCondition(image: CachedImage): Draft {
  const type = 'Held';
  const count = stanzaOf(image, 'usedBy')?.count ?? 0;
  if (count > 0)
    return { type, status: 'True', reason: 'InUse', message: `used by ${count} ${count === 1 ? 'pod' : 'pods'}` };
  if (image.spec.retain === true) return { type, status: 'True', reason: 'Retained', message: 'spec.retain keeps it' };
  const { unusedSince, expiresAt } = image.status ?? {};
  const until = expiresAt === undefined ? '' : `; expires at ${expiresAt}`;
  return {
    type,
    status: 'False',
    reason: 'Unused',
    message: unusedSince === undefined ? 'not used yet' : `unused since ${unusedSince}${until}`,
  };
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
