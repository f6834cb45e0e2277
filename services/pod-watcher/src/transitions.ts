import { type CachedImage, EVENT_REASONS } from '@kuik/contracts';
import { stanzaOf } from '@kuik/contracts';
import { holdingOf } from './cached.ts';

/** An event that a person sees under `kubectl describe`. */
export interface Transition {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/**
 * What happened to an image between two views of it: copied, copy failed, what upstream says. (gc itself tells of what it
 * condemns, keeps and removes.) Views of different objects tell nothing.
 */
export function transitionsOf(before: CachedImage | undefined, now: CachedImage): Transition[] {
  if (before?.metadata.uid !== now.metadata.uid) return [];
  return [...copyTransitions(before, now), ...upstreamTransitions(before, now)];
}

function copyTransitions(before: CachedImage, now: CachedImage): Transition[] {
  const was = stanzaOf(before, 'cache');
  const is = stanzaOf(now, 'cache');
  const found: Transition[] = [];
  const refilled = holdingOf(now).cached && !holdingOf(before).cached;
  if (is?.digest !== undefined && (is.digest !== was?.digest || refilled)) {
    found.push({ type: 'Normal', reason: EVENT_REASONS.copied, message: `copied ${is.digest}` });
  }
  const error = is?.error;
  if (error !== undefined && error.at !== was?.error?.at) {
    found.push({ type: 'Warning', reason: EVENT_REASONS.copyFailed, message: `${error.code} ${error.message}` });
  }
  return found;
}

function upstreamTransitions(before: CachedImage, now: CachedImage): Transition[] {
  const was = stanzaOf(before, 'upstream');
  const is = stanzaOf(now, 'upstream');
  const state = is?.state;
  if (state === undefined) return [];
  if (state === 'Deleted' && was?.state !== 'Deleted') {
    const message = 'upstream does not have the image any more; the cache keeps it';
    return [{ type: 'Warning', reason: EVENT_REASONS.upstreamDeleted, message }];
  }
  const found: Transition[] = [];
  const back = was?.state === 'Deleted' && (state === 'Available' || state === 'Moved');
  if (back) found.push({ type: 'Normal', reason: EVENT_REASONS.upstreamBack, message: 'upstream has the image again' });
  if (state === 'Moved' && (was?.state !== 'Moved' || was.digest !== is?.digest)) {
    found.push({
      type: 'Normal',
      reason: EVENT_REASONS.tagMoved,
      message: `upstream moved the tag to ${is?.digest ?? 'another image'}`,
    });
  }
  return found;
}
