import {
  type CachedImage,
  type CacheStanza,
  ERROR_CODES,
  type ErrorCode,
  EVENT_REASONS,
  explain,
  remedyFor,
  type Repository,
  REPOSITORY_EVENT_REASONS,
  stanzaOf,
} from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';
import { holdingOf } from './cached.ts';
import { formatBytes } from './display.ts';

/** An event that a person sees under `kubectl describe`. */
export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/**
 * What happened to an image between two views of it: copied, copy failed, what upstream says, another object counts in its place. (gc itself tells of what it
 * condemns, keeps and removes.) Views of different objects tell nothing.
 */
export function transitionsOf(before: CachedImage | undefined, now: CachedImage): Transition[] {
  if (before?.metadata.uid !== now.metadata.uid) return [];
  return [...copyTransitions(before, now), ...upstreamTransitions(before, now), ...duplicateTransitions(before, now)];
}

function copyTransitions(before: CachedImage, now: CachedImage): Transition[] {
  const was = stanzaOf(before, 'cache');
  const is = stanzaOf(now, 'cache');
  const found: Transition[] = [];
  const refilled = holdingOf(now).cached && !holdingOf(before).cached;
  if (is?.digest !== undefined && (is.digest !== was?.digest || refilled)) {
    found.push({ type: 'Normal', reason: EVENT_REASONS.copied, message: copiedText(is.digest, is) });
  }
  const error = is?.error;
  if (error !== undefined && error.at !== was?.error?.at) {
    const damaged = error.code === ERROR_CODES.cacheDamaged.code;
    const message = `${error.code} ${damaged ? error.message : failedText(now, error.code)}`;
    found.push({ type: 'Warning', reason: damaged ? EVENT_REASONS.cacheDamaged : EVENT_REASONS.copyFailed, message });
  }
  return found;
}

const CODES: ReadonlyMap<string, ErrorCode> = new Map(Object.values(ERROR_CODES).map((known) => [known.code, known]));

/**
 * Made of the code alone: the same at each try, so that they are one event with a count; and without the copy's own words, which name pull secrets, while
 * whoever reads events in namespace `default` reads this.
 */
function failedText({ metadata, spec }: CachedImage, code: string): string {
  const known = CODES.get(code);
  const doing = `cannot copy ${spec.sourceImage}`;
  const host = tryParseReference(spec.sourceImage)?.host;
  const why = known === undefined ? `${doing}.` : explain(doing, known.meaning, remedyFor(known, host));
  return `${why} Condition Cached says more, and when the next try is: kubectl describe ci ${metadata.name}`;
}

/** `copied sha256:...: 41 MiB in 7 blobs, 3 of them shared` */
function copiedText(digest: string, { bytes, blobs, sharedBlobs = 0, copiedAt }: CacheStanza): string {
  if (copiedAt === undefined) return `found in the cache ${digest}: upstream does not give it`;
  if (bytes === undefined || blobs === undefined) return `copied ${digest}`;
  const shared = sharedBlobs === 0 ? '' : `, ${sharedBlobs} of them shared`;
  return `copied ${digest}: ${formatBytes(bytes)} in ${blobs} ${blobs === 1 ? 'blob' : 'blobs'}${shared}`;
}

function upstreamTransitions(before: CachedImage, now: CachedImage): Transition[] {
  const was = stanzaOf(before, 'upstream');
  const is = stanzaOf(now, 'upstream');
  const state = is?.state;
  if (state === undefined) return [];
  const wasGone = was?.state === 'Deleted' || was?.goneSince !== undefined;
  if (state === 'Deleted') {
    if (wasGone) return [];
    const { cached } = holdingOf(now);
    const had = cached || was?.digest !== undefined;
    const message = `upstream does not have the image${had ? ' any more' : ''}; the cache ${cached ? 'keeps it' : 'does not have it'}`;
    return [{ type: 'Warning', reason: EVENT_REASONS.upstreamDeleted, message }];
  }
  const found: Transition[] = [];
  const back = wasGone && is?.goneSince === undefined;
  if (back) found.push({ type: 'Normal', reason: EVENT_REASONS.upstreamBack, message: 'upstream has the image again' });
  if (state === 'Moved' && (was?.state !== 'Moved' || was.digest !== is?.digest)) {
    found.push({
      type: 'Normal',
      reason: EVENT_REASONS.tagMoved,
      message: movedText(now, is?.digest),
    });
  }
  return found;
}

function duplicateTransitions(before: CachedImage, now: CachedImage): Transition[] {
  const of = ({ status }: CachedImage) => status?.conditions?.find(({ type }) => type === 'Duplicate');
  const is = of(now);
  if (is === undefined || of(before) !== undefined) return [];
  return [{ type: 'Warning', reason: EVENT_REASONS.duplicate, message: is.message }];
}

function movedText(image: CachedImage, digest: string | undefined): string {
  const held = stanzaOf(image, 'cache')?.digest;
  const keeps = held === undefined ? '' : `; the cache keeps ${held}`;
  return `upstream moved the tag to ${digest ?? 'another image'}${keeps}`;
}

/**
 * What happened to a Repository between two views of it: every image is cached, one cannot be copied, it is being deleted, its wish for
 * updates cannot be read. What was so before is not told again.
 */
export function repositoryTransitions(before: Repository | undefined, now: Repository): Transition[] {
  if (before?.metadata.uid !== now.metadata.uid) return [];
  const found: Transition[] = [];
  for (const { type, status, reason, message } of now.status?.conditions ?? []) {
    const was = before.status?.conditions?.find((condition) => condition.type === type);
    if (was?.reason === reason && was.status === status) continue;
    // What a new one says first is what its image's own event says.
    if (was === undefined && reason === REPOSITORY_EVENT_REASONS.upToDate) continue;
    if (type === 'Ready' && TOLD.has(reason) && (now.status?.images ?? 0) > 0) {
      found.push({ type: reason === REPOSITORY_EVENT_REASONS.failing ? 'Warning' : 'Normal', reason, message });
    }
    if (type === 'Updates' && status === 'False') found.push({ type: 'Warning', reason, message });
  }
  return found;
}

const TOLD: ReadonlySet<string> = new Set(Object.values(REPOSITORY_EVENT_REASONS));
