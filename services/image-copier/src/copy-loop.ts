import { type CachedImage, type CacheStanza, type CopyJob, ERROR_CODES, HISTORY_MAX, stanzaOf } from '@kuik/contracts';
import type { Job, Outcome, Pacer } from '@kuik/queue';
import { isBackground } from './background.ts';
import { decideJob, forceWish, type CopyTarget } from './decide.ts';
import { judgeFailure, type CopyFailure } from './judge.ts';
import { type CopyProgress, ProgressTeller, type ProgressTellerParts } from './progress-teller.ts';

/** What a finished copy tells; see `copyImage` of the registry package. */
export interface CopyResult {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: number;
  readonly platforms: readonly string[];
  /** Of the index, not in the cache. */
  readonly platformsOnDemand: readonly string[];
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
}

/** The narrow parts that the loop is handed. */
export interface CopyParts extends ProgressTellerParts {
  /** Applies `status.cache` and returns the resulting object; undefined when the object is gone. */
  write(name: string, stanza: CacheStanza | undefined): Promise<CachedImage | undefined>;
  /** Whether the API server refused for good: trying again changes nothing. (A role that is missing may be one not loaded yet.) */
  refusedForGood(error: unknown): boolean;
  copy(target: CopyTarget, onProgress: (progress: CopyProgress) => void, signal: AbortSignal): Promise<CopyResult>;
  /** Whether the cache does not have the digest any more that a node missed. Throws when it cannot be asked. */
  lost(target: CopyTarget): Promise<boolean>;
  /** What the cache holds whole under the image's own tag, whoever brought it; undefined when there is nothing. Throws when it cannot be asked. */
  held(target: CopyTarget): Promise<CopyResult | undefined>;
  /** Reads a thrown error; undefined when it is none of a registry's (a mistake of ours, an abort). */
  failureOf(error: unknown): CopyFailure | undefined;
  announce(image: CachedImage): Promise<void>;
  readonly pacer: Pick<Pacer, 'take' | 'limited'>;
  /** Share of a quota that copies leave when nobody waits for them. */
  readonly backgroundFloor: number;
  readonly count: {
    ended(result: string, code: string, host: string, seconds: number): void;
    bytes(how: 'copied' | 'shared', bytes: number): void;
    progress(jobId: string, bytesDone: number | undefined): void;
  };
}

/** An object that was looked at this long ago or less is written to without another look, ms. */
const LOOKED_AT_LATELY_MS = 1_000;
/** How long a job sits when the API server cannot be asked or told. */
const API_RETRY_MS = 2_000;

/**
 * One job: take a token of the host's pace, read the object, decide, copy, write the stanza, announce the state, report once.
 * Repeating it never harms: a copy that is already there costs two requests. The job never fails for what upstream does: the stanza
 * remembers it, and `nextStep` says when to try again.
 */
export async function workOn(job: Job<CopyJob>, parts: CopyParts): Promise<Outcome> {
  const { name, reference, host, requestId } = job.payload;
  const log = parts.log.child({
    image: reference,
    object: name,
    job: job.id,
    ...(requestId === undefined ? {} : { requestId }),
  });
  const started = parts.clock.monotonic();
  const ended = (result: string, code: string): void =>
    parts.count.ended(result, code, host, (parts.clock.monotonic() - started) / 1000);

  // First, so that a job which has to wait costs the API server nothing.
  const floor = isBackground(job.payload) ? parts.backgroundFloor : 0;
  const waitMs = await parts.pacer.take(host, { floor });
  if (waitMs > 0) {
    log.debug('copy waits for its host', { host, ms: waitMs });
    return { do: 'park', afterMs: waitMs, reason: 'HostPaced' };
  }
  let image: CachedImage | undefined;
  try {
    image = await parts.read(name);
  } catch (error) {
    if (parts.refusedForGood(error)) throw error;
    log.warn('copy waits for the API server', { error });
    return apiServerAway();
  }
  const readAt = parts.clock.monotonic();
  const verdict = decideJob(job.payload, image, job.takenOver);
  if (verdict.do === 'skip' || image === undefined) {
    const reason = verdict.do === 'skip' ? verdict.reason : 'ObjectGone';
    log.info('copy skipped', { reason });
    ended('skipped', reason);
    return { do: 'done' };
  }
  const before = stanzaOf(image, 'cache');
  const now = (): Date => new Date(parts.clock.now());
  const teller = new ProgressTeller(image, parts, job.signal);
  try {
    const result = await parts
      .copy(
        verdict.target,
        (progress) => {
          parts.count.progress(job.id, progress.bytesDone);
          teller.reached(progress);
          job.progress(progress).catch((error: unknown) => log.debug('progress not recorded', { error }));
        },
        job.signal,
      )
      .finally(() => teller.stop());
    const stanza = copied(image, verdict.target, result, now());
    parts.count.bytes('copied', result.bytesCopied);
    parts.count.bytes('shared', result.bytes - result.bytesCopied);
    if (!(await record(parts, image, stanza, readAt))) return apiServerAway();
    ended('copied', '');
    log.info('image copied', {
      digest: result.digest,
      bytes: result.bytes,
      bytesCopied: result.bytesCopied,
      blobs: result.blobs.total,
      sharedBlobs: result.blobs.mounted + result.blobs.present,
      mountedBlobs: result.blobs.mounted,
      ms: Math.round(parts.clock.monotonic() - started),
      reason: job.payload.reason,
    });
    return { do: 'done' };
  } catch (error) {
    if (job.signal.aborted) throw error;
    const failure = parts.failureOf(error);
    if (failure === undefined) throw error;
    const judged = judgeFailure(await parked(failure, host, parts), verdict.target.reference, before, now());
    ended('failed', judged.error.code);
    log.warn('copy failed', {
      code: judged.error.code,
      cause: failure.message,
      side: failure.side,
      attempts: judged.error.attempts,
    });
    // What is neither in the cache nor to be had upstream is not cached: the stanza says so. Unknown is not gone.
    const lost = await parts.lost(verdict.target).catch(() => false);
    const { copying: _left, ...kept } = before === undefined || lost ? { forUid: image.metadata.uid } : before;
    const held = mayBeHeld(image, failure) ? await parts.held(verdict.target).catch(() => undefined) : undefined;
    if (held !== undefined) log.info('image found in the cache', { digest: held.digest });
    const known = held === undefined ? kept : described(image, verdict.target, held);
    const stanza: CacheStanza = { ...known, error: judged.error };
    return (await record(parts, image, stanza, readAt)) ? { do: 'done' } : apiServerAway();
  } finally {
    parts.count.progress(job.id, undefined);
  }
}

/** A registry that limits us is parked for everybody: the failure then says for how long. */
async function parked(failure: CopyFailure, host: string, { pacer }: CopyParts): Promise<CopyFailure> {
  if (failure.side !== 'upstream' || failure.code !== 'rate-limited') return failure;
  const { code: reason } = ERROR_CODES.rateLimited;
  return { ...failure, retryAfterMs: await pacer.limited(host, { retryAfterMs: failure.retryAfterMs, reason }) };
}

/**
 * Upstream does not give what was never copied for this object. The cache may hold it all the same: from an object before this one, or from kuik
 * v1. What gc is taking away is not looked for.
 */
function mayBeHeld(image: CachedImage, { side }: CopyFailure): boolean {
  return (
    side === 'upstream' && stanzaOf(image, 'cache')?.digest === undefined && stanzaOf(image, 'removal') === undefined
  );
}

function copied(image: CachedImage, target: CopyTarget, result: CopyResult, now: Date): CacheStanza {
  const forced = forceWish(image);
  return {
    ...described(image, target, result),
    ...historyOf(image, result.digest, now),
    copiedAt: now.toISOString(),
    ...(forced === undefined ? {} : { forced }),
  };
}

/** What the tag named before, with what it leaves now. */
function historyOf(image: CachedImage, digest: string, now: Date): Pick<CacheStanza, 'history'> {
  const { digest: left, history = [] } = stanzaOf(image, 'cache') ?? {};
  if (left === undefined || left === digest) return history.length === 0 ? {} : { history };
  const before = history.filter((entry) => entry.digest !== digest && entry.digest !== left);
  return { history: [{ digest: left, at: now.toISOString() }, ...before].slice(0, HISTORY_MAX) };
}

/** What the cache holds; without a time of copying when nobody copied it now. */
function described(image: CachedImage, target: CopyTarget, result: CopyResult): CacheStanza {
  return {
    forUid: image.metadata.uid,
    digest: result.digest,
    mediaType: result.mediaType,
    tag: target.cacheTag,
    platforms: [...result.platforms],
    ...(result.platformsOnDemand.length === 0 ? {} : { platformsOnDemand: [...result.platformsOnDemand] }),
    ...(result.platformsPulled.length === 0 ? {} : { platformsPulled: [...result.platformsPulled] }),
    ...referrersOf(image, result),
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

function apiServerAway(): Outcome {
  return { do: 'park', afterMs: API_RETRY_MS * (0.5 + Math.random()), reason: 'ApiServerUnavailable' };
}

/**
 * Writes the stanza and announces the state; false when the API server could not be told. An object that was deleted or made anew
 * in the course of a long copy is not written to: its own job may have told its own truth there already. The API server takes a status
 * apply whatever uid it names, so a stanza that met another uid all the same is withdrawn; an own truth that went with it is
 * copied again. Throws what the API server refused for good.
 */
async function record(parts: CopyParts, image: CachedImage, stanza: CacheStanza, readAt: number): Promise<boolean> {
  const { name, uid } = image.metadata;
  try {
    const lately = parts.clock.monotonic() - readAt <= LOOKED_AT_LATELY_MS;
    if (!lately && (await parts.read(name))?.metadata.uid !== uid) return true;
    const written = await parts.write(name, stanza);
    if (written === undefined) return true;
    if (written.metadata.uid !== uid) {
      await parts.write(name, undefined);
      return true;
    }
    await parts.announce(written);
    return true;
  } catch (error) {
    if (parts.refusedForGood(error)) throw error;
    parts.log.warn('copy result not recorded', { object: name, error });
    return false;
  }
}
