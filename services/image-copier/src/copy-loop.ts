import { type CachedImage, type CacheStanza, type CopyJob, ERROR_CODES, stanzaOf } from '@kuik/contracts';
import { type Reference, tryParseReference } from '@kuik/image';
import { asksForTime, type Job, type Outcome, type Pacer, type Payer } from '@kuik/queue';
import { isBackground } from './background.ts';
import { copied, type CopyResult, described, kept } from './copy-stanza.ts';
import { decideJob, type CopyTarget } from './decide.ts';
import { judgeFailure, type CopyFailure } from './judge.ts';
import { type CopyProgress, ProgressTeller, type ProgressTellerParts } from './progress-teller.ts';
import { sameTarget, toBeRead, type UnreadImages } from './unread-images.ts';

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
  /** Whom upstream will count the copy's requests for; undefined: nobody in particular. */
  account(reference: Reference, origin: { requestId?: string }): Promise<string | undefined>;
  /** Reads a thrown error; undefined when it is none of a registry's (a mistake of ours, an abort). */
  failureOf(error: unknown): CopyFailure | undefined;
  announce(image: CachedImage): Promise<void>;
  readonly unread: Pick<UnreadImages, 'of' | 'failed'>;
  readonly pacer: Pick<Pacer, 'place' | 'take' | 'limited' | 'spent'>;
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
/** What the pace of a host counts as one copy. */
const REQUESTS_PER_TOKEN = 10;
/** How long a job sits when the API server cannot be asked or told. */
const API_RETRY_MS = 2_000;

/**
 * One job: wait for a place among the host's copies, take a token of its pace, read the object (unless the job says all of it), decide, copy, write the stanza, announce the state, report once.
 * Repeating it never harms: a copy that is already there costs two requests. The job never fails for what upstream does: the stanza
 * remembers it, and `nextStep` says when to try again.
 */
export async function workOn(job: Job<CopyJob>, parts: CopyParts): Promise<Outcome> {
  const place = await parts.pacer.place(job.payload.host, job.signal);
  try {
    return await inPlace(job, parts);
  } finally {
    await place.leave();
  }
}

async function inPlace(job: Job<CopyJob>, parts: CopyParts): Promise<Outcome> {
  const { name, reference, host, requestId } = job.payload;
  const origin = requestId === undefined ? {} : { requestId };
  const log = parts.log.child({
    image: reference,
    object: name,
    job: job.id,
    ...origin,
  });
  const started = parts.clock.monotonic();
  const ended = (result: string, code: string): void =>
    parts.count.ended(result, code, host, (parts.clock.monotonic() - started) / 1000);

  // First, so that a job which has to wait costs the API server nothing.
  const floor = isBackground(job.payload) ? parts.backgroundFloor : 0;
  const upstream = tryParseReference(reference);
  const account = upstream === undefined ? undefined : await parts.account(upstream, origin);
  const waitMs = await parts.pacer.take({ host, account }, { floor });
  if (waitMs > 0) {
    log.debug('copy waits for its host', { host, ms: waitMs });
    return { do: 'park', afterMs: waitMs, reason: 'HostPaced' };
  }
  const unread = parts.unread.of(job, parts.clock.monotonic());
  let image: CachedImage | undefined;
  try {
    image = unread ?? (await parts.read(name));
  } catch (error) {
    if (parts.refusedForGood(error)) throw error;
    log.warn('copy waits for the API server', { error });
    return apiServerAway(parts);
  }
  const readAt = parts.clock.monotonic();
  const verdict = decideJob(job.payload, image, job.takenOver);
  if (verdict.do === 'skip' || image === undefined) {
    const reason = verdict.do === 'skip' ? verdict.reason : 'ObjectGone';
    log.info('copy skipped', { reason });
    ended('skipped', reason);
    return { do: 'done' };
  }
  const { target } = verdict;
  const now = (): Date => new Date(parts.clock.now());
  const tell = async (say: (of: CachedImage) => CacheStanza): Promise<Outcome | 'begin anew'> => {
    if (unread !== undefined) return tellUnread(job, parts, { unread, target, say });
    return (await record(parts, image, say(image), readAt)) ? { do: 'done' } : apiServerAway(parts);
  };
  const teller = new ProgressTeller(image, parts, job.signal);
  try {
    const result = await parts
      .copy(
        target,
        (progress) => {
          parts.count.progress(job.id, progress.bytesDone);
          teller.reached(progress);
          job.progress(progress).catch((error: unknown) => log.debug('progress not recorded', { error }));
        },
        job.signal,
      )
      .finally(() => teller.stop());
    const copiedAt = now();
    await tellOfLook(result, { host, account }, parts);
    parts.count.bytes('copied', result.bytesCopied);
    parts.count.bytes('shared', result.bytes - result.bytesCopied);
    const outcome = await tell((of) => copied(of, target, result, copiedAt));
    if (outcome === 'begin anew') return inPlace(toBeRead(job), parts);
    if (outcome.do !== 'done') return outcome;
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
    return outcome;
  } catch (error) {
    if (job.signal.aborted) throw error;
    const failure = parts.failureOf(error);
    if (failure === undefined) throw error;
    const before = stanzaOf(image, 'cache');
    const judged = judgeFailure(await parked(failure, host, parts), target.reference, before, now());
    ended('failed', judged.error.code);
    log.warn('copy failed', {
      code: judged.error.code,
      cause: failure.message,
      side: failure.side,
      attempts: judged.error.attempts,
    });
    // What is neither in the cache nor to be had upstream is not cached: the stanza says so. Unknown is not gone.
    const lost = await parts.lost(target).catch(() => false);
    const held = mayBeHeld(image, failure) ? await parts.held(target).catch(() => undefined) : undefined;
    if (held !== undefined) log.info('image found in the cache', { digest: held.digest });
    const outcome = await tell((of) => ({
      ...(held === undefined ? kept(of, lost, failure.damaged) : described(of, target, held)),
      error: judged.error,
    }));
    return outcome === 'begin anew' ? inPlace(toBeRead(job), parts) : outcome;
  } finally {
    parts.count.progress(job.id, undefined);
  }
}

/** A registry that asks for time is asked no more for whoever the copy was for: the failure then says for how long. */
async function parked(failure: CopyFailure, host: string, { pacer }: CopyParts): Promise<CopyFailure> {
  const asked = failure.side === 'upstream' ? asksForTime(failure) : undefined;
  if (asked === undefined) return failure;
  const { code: reason } = ERROR_CODES.rateLimited;
  const parkedMs = await pacer.limited({ host, account: failure.account }, { ...asked, reason });
  return { ...failure, retryAfterMs: Math.max(parkedMs, failure.retryAfterMs ?? 0) };
}

/** What the copy had beside the image is of its host's pace as well, and a limit that was met there is one. */
async function tellOfLook({ looked }: CopyResult, payer: Payer, parts: CopyParts): Promise<void> {
  if (looked === undefined) return;
  const tokens = Math.floor(looked.requests / REQUESTS_PER_TOKEN);
  if (tokens > 0) await parts.pacer.spent(payer, tokens);
  const failure = parts.failureOf(looked.failure);
  if (failure !== undefined) await parked(failure, payer.host, parts);
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

function apiServerAway({ unread, clock }: CopyParts): Outcome {
  unread.failed(clock.monotonic());
  return { do: 'park', afterMs: API_RETRY_MS * (0.5 + Math.random()), reason: 'ApiServerUnavailable' };
}

/**
 * The first word on an object that was never read. When it is another version by now it is read after all: what was copied is told of it if it asks
 * for no more, else the job begins anew.
 */
async function tellUnread(
  job: Job<CopyJob>,
  parts: CopyParts,
  copy: { unread: CachedImage; target: CopyTarget; say: (of: CachedImage) => CacheStanza },
): Promise<Outcome | 'begin anew'> {
  const { unread, target, say } = copy;
  const { name } = unread.metadata;
  let known: CachedImage | undefined;
  try {
    const written = await parts.writeUnchanged(unread, say(unread));
    if (written !== undefined) {
      await parts.announce(written);
      return { do: 'done' };
    }
    known = await parts.read(name);
  } catch (error) {
    if (parts.refusedForGood(error)) throw error;
    parts.log.warn('copy result not recorded', { object: name, error });
    return apiServerAway(parts);
  }
  const verdict = decideJob(job.payload, known, job.takenOver);
  if (known === undefined || verdict.do === 'skip' || !sameTarget(verdict.target, target)) return 'begin anew';
  return (await record(parts, known, say(known), parts.clock.monotonic())) ? { do: 'done' } : apiServerAway(parts);
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
