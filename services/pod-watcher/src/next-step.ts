import { createHash } from 'node:crypto';
import {
  type CachedImage,
  type CacheStanza,
  ERROR_CODES,
  FORCE_UPDATE_ANNOTATION,
  FORCE_UPDATE_ANNOTATION_V1,
  stanzaOf,
  type StanzaError,
} from '@kuik/contracts';
import { isDigest, wantsPlatform } from '@kuik/image';
import { holdingOf } from './cached.ts';
import { NEVER_REASONS, neverCached } from './never-cached.ts';

/** Why an image is copied, waited for, or left alone; stable: jobs, logs and metrics carry it. */
export const STEP_REASONS = {
  deleting: 'Deleting',
  ...NEVER_REASONS,
  duplicate: 'Duplicate',
  forced: 'Forced',
  contentMissing: 'ContentMissing',
  tagMoved: 'TagMoved',
  platformsChanged: 'PlatformsChanged',
  pinChanged: 'PinChanged',
  condemned: 'Condemned',
  removed: 'Removed',
  removedAndUsed: 'RemovedAndUsed',
  notCached: 'NotCached',
  retry: 'Retry',
  backOff: 'BackOff',
  parked: 'Parked',
  upstreamGone: 'UpstreamGone',
  seenAgain: 'SeenAgain',
  cached: 'Cached',
  updateDue: 'UpdateDue',
  updateScheduled: 'UpdateScheduled',
} as const;
export type StepReason = (typeof STEP_REASONS)[keyof typeof STEP_REASONS];

export type Step =
  | { readonly do: 'copy'; readonly reason: StepReason }
  | { readonly do: 'wait'; readonly until: number; readonly reason: StepReason }
  | { readonly do: 'nothing'; readonly reason: StepReason };

export interface StepContext {
  /** Another object stands for the same reference and counts first. */
  readonly duplicate: boolean;
  /** Somebody uses the image. */
  readonly held: boolean;
  /** A copy was asked for by annotation, and that wish was not raised as an intent yet. */
  readonly forced: boolean;
  /** A node did not find in the cache what the resource says is there, and nobody was sent to look yet. */
  readonly missing: boolean;
  /** A node saw the tag on another digest, and nobody was sent to copy that yet. */
  readonly moved: boolean;
  /** Platforms to copy of an index; absent: not known, so that nothing can be lacking. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /** When its Repository wants upstream to be asked again, epoch ms; absent: never. */
  readonly updateAt?: number | undefined;
  readonly retry: RetryTimes;
}

/** ms; see DEFAULTS.retry. */
export interface RetryTimes {
  readonly firstMs: number;
  readonly maxMs: number;
  /** An image that upstream does not have is looked for again after this long. */
  readonly unavailableMs: number;
}

/**
 * What has to be done for an image now. The first rule that applies:
 * 1. it is being deleted; 2. it can never be cached; 3. it is a duplicate: nothing; 4. a person forces a copy: copy;
 * 5. gc removed it and nobody uses it: nothing; 6. it is cached, but a node missed it in the cache, or saw its tag on another digest, or it
 * lacks a platform that is wanted by now, or the digest that it is pinned to: copy; 7. it is cached, and no forced
 * copy failed, nor any later one for a reason that passes (an intent may come twice, and fail the second time), nor is an update due: nothing until one is;
 * 8. it is condemned: nothing, to un-condemn it is gc's; 9. no copy was tried yet, or the last one worked: copy; 10. the last try failed, and the
 * monitor saw the image upstream since: copy; 11. copy when its time has come, else wait until then. An image that upstream does not have
 * waits the monitor's pace; a time that upstream named is kept; else it backs off.
 */
export function nextStep(image: CachedImage, context: StepContext, now: number): Step {
  if (image.metadata.deletionTimestamp !== undefined) return nothing(STEP_REASONS.deleting);
  const never = neverCached(image);
  if (never !== undefined) return nothing(never.reason);
  if (context.duplicate) return nothing(STEP_REASONS.duplicate);
  if (context.forced) return { do: 'copy', reason: STEP_REASONS.forced };

  const { cache, removal, cached, removed } = holdingOf(image);
  if (removed && !context.held) return nothing(STEP_REASONS.removed);
  const kept = cached && removal === undefined;
  if (kept && context.missing) return { do: 'copy', reason: STEP_REASONS.contentMissing };
  if (kept && context.moved) return { do: 'copy', reason: STEP_REASONS.tagMoved };
  // A back-fill that failed keeps the pace of failures.
  const worked = kept && cache?.error === undefined;
  if (worked && lacksWanted(cache, context.platforms)) return { do: 'copy', reason: STEP_REASONS.platformsChanged };
  if (worked && lacksPin(image.spec.pin, cache)) return { do: 'copy', reason: STEP_REASONS.pinChanged };
  const failed = cache?.error !== undefined && (forceWish(image) !== undefined || isWorthAnother(cache, cache.error));
  const { updateAt } = context;
  const due = kept && updateAt !== undefined && updateAt <= now;
  if (cached && !failed && !due) {
    if (updateAt === undefined || removal !== undefined) return nothing(STEP_REASONS.cached);
    return { do: 'wait', until: updateAt, reason: STEP_REASONS.updateScheduled };
  }
  if (removal !== undefined && !removed) return nothing(STEP_REASONS.condemned);

  const error = cache?.error;
  if (error === undefined) {
    if (due) return { do: 'copy', reason: STEP_REASONS.updateDue };
    return { do: 'copy', reason: removed ? STEP_REASONS.removedAndUsed : STEP_REASONS.notCached };
  }
  const { at, reason } = retryAt(error, image.metadata.uid, context.retry);
  if (seenSince(image, error)) return { do: 'copy', reason: STEP_REASONS.seenAgain };
  return at <= now
    ? { do: 'copy', reason: due ? STEP_REASONS.updateDue : STEP_REASONS.retry }
    : { do: 'wait', until: at, reason };
}

/** A platform that the copy left on demand is wanted by now. */
function lacksWanted(cache: CacheStanza | undefined, wanted: StepContext['platforms']): boolean {
  const { platformsOnDemand = [] } = cache ?? {};
  if (wanted === undefined) return false;
  return platformsOnDemand.some((platform) => wanted === 'all' || wantsPlatform(wanted, platform));
}

/** A person pinned it to a digest that the cache does not keep: it is neither what the tag names, nor what it named before, nor was it copied for that pin. */
function lacksPin(pin: string | undefined, cache: CacheStanza | undefined): boolean {
  const { digest, history = [], pinned } = cache ?? {};
  if (pin === undefined || !isDigest(pin)) return false;
  return ![digest, pinned, ...history.map((before) => before.digest)].includes(pin);
}

/** What was copied once rests on upstream's last word; what was only found in the cache goes on being asked for. */
function isWorthAnother({ copiedAt }: CacheStanza, { code }: StanzaError): boolean {
  return copiedAt === undefined || !LAST_WORDS.has(code);
}

/** What upstream will say again: no reason to ask about what is cached. Any other error of a cached image must not stay for ever. */
const LAST_WORDS: ReadonlySet<string> = new Set([
  ERROR_CODES.unauthorized.code,
  ERROR_CODES.forbidden.code,
  ERROR_CODES.notFound.code,
]);

/** An image that upstream did not have was seen there since; other failures keep their pace. */
function seenSince(image: CachedImage, { at, code, retryAt }: StanzaError): boolean {
  const upstream = stanzaOf(image, 'upstream');
  const there = upstream?.state === 'Available' || upstream?.state === 'Moved';
  const gone = code === ERROR_CODES.notFound.code && retryAt === undefined;
  return gone && there && upstream.lastSeen !== undefined && Date.parse(upstream.lastSeen) > Date.parse(at);
}

/** When a failed copy is tried again: upstream's own word, else the monitor's pace for what is gone, else back-off with jitter. */
export function retryAt(error: StanzaError, uid: string, retry: RetryTimes): { at: number; reason: StepReason } {
  const failedAt = Date.parse(error.at);
  if (error.retryAt !== undefined) {
    const parked = error.code === ERROR_CODES.rateLimited.code;
    return { at: Date.parse(error.retryAt), reason: parked ? STEP_REASONS.parked : STEP_REASONS.backOff };
  }
  if (error.code === ERROR_CODES.notFound.code) {
    return { at: failedAt + retry.unavailableMs, reason: STEP_REASONS.upstreamGone };
  }
  return { at: failedAt + backOff(error.attempts ?? 1, uid, retry), reason: STEP_REASONS.backOff };
}

/**
 * Exponential back-off in [half, whole] of the step. The jitter comes from the object's uid: images spread, and each replica and
 * each restart computes the same time.
 */
export function backOff(attempts: number, uid: string, retry: RetryTimes): number {
  const step = Math.min(retry.maxMs, retry.firstMs * 2 ** Math.min(Math.max(attempts, 1) - 1, 30));
  const fraction = createHash('sha256').update(`${uid}/${attempts}`).digest().readUInt32BE() / 0xffff_ffff;
  return Math.round(step * (0.5 + fraction / 2));
}

/** The value of the annotation that asks for a copy now, ours or kuik v1's; undefined when nobody asks. */
export function forceWish(image: CachedImage): string | undefined {
  const annotations = image.metadata.annotations ?? {};
  return annotations[FORCE_UPDATE_ANNOTATION] ?? annotations[FORCE_UPDATE_ANNOTATION_V1];
}

function nothing(reason: StepReason): Step {
  return { do: 'nothing', reason };
}
