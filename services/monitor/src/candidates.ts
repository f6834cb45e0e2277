import {
  copyAskedAt,
  ERROR_CODES,
  stanzaOf,
  type CachedImage,
  type CacheStanza,
  type StanzaError,
} from '@kuik/contracts';
import { tryParseReference, type Reference } from '@kuik/image';
import { goneSinceOf } from './gone-since.ts';
import type { Candidate } from './schedule.ts';

/**
 * The reference to check for an image; undefined when there is nothing to watch: no reference, a duplicate, on its way out, or neither
 * in the cache nor found missing upstream by the copier (what was never copied is the copier's to ask for).
 */
export function watchedReference(image: CachedImage): Reference | undefined {
  if (image.metadata.deletionTimestamp !== undefined || stanzaOf(image, 'removal') !== undefined) return undefined;
  if (image.status?.phase === 'Duplicate') return undefined;
  const cache = stanzaOf(image, 'cache');
  const unavailable = cache?.error?.code === ERROR_CODES.notFound.code;
  return cache?.digest !== undefined || unavailable ? tryParseReference(image.spec.sourceImage) : undefined;
}

/**
 * The image as the schedule sees it. `checkedAt` is the exact time of its last check (epoch ms); what the resource tells of checks and
 * copies counts too: a copy has asked upstream as well, and the exact time may have been lost. What a copy found otherwise than the last check did
 * counts not: it is for a check to confirm.
 */
export function candidateOf(image: CachedImage, checkedAt: number | undefined): Candidate | undefined {
  const reference = watchedReference(image);
  if (reference === undefined) return undefined;
  const cache = stanzaOf(image, 'cache');
  const upstream = stanzaOf(image, 'upstream');
  const told = [
    upstream?.lastSeen,
    answeredAt(upstream?.error),
    ...(cache === undefined ? [] : copiesAsked(cache, goneSinceOf(upstream))),
  ];
  const times = [checkedAt, ...told.map(parseTime)];
  const known = times.filter((time) => time !== undefined);
  return {
    uid: image.metadata.uid,
    host: reference.host,
    seenAt: known.length === 0 ? undefined : Math.max(...known),
    weight: weightOf(image),
  };
}

/** In use and not cached comes first: nobody can start it. What is in use comes before what nobody asks for. */
function weightOf(image: CachedImage): number {
  const inUse = (stanzaOf(image, 'usedBy')?.count ?? 0) > 0;
  if (!inUse) return 1;
  return stanzaOf(image, 'cache')?.digest === undefined ? 4 : 2;
}

/** When copies asked: one that got what is known to be gone, or missed what is cached and not known to be gone, does not count. */
function copiesAsked(cache: CacheStanza, goneSince: string | undefined): (string | undefined)[] {
  const { digest, error } = cache;
  const askedAt = copyAskedAt(cache);
  const back = goneSince !== undefined && askedAt !== undefined && askedAt > goneSince;
  const lost = goneSince === undefined && digest !== undefined && error?.code === ERROR_CODES.notFound.code;
  return [back ? undefined : askedAt, lost ? undefined : answeredAt(error)];
}

/** A registry that only said "not now" has told nothing about the image. */
function answeredAt(error: StanzaError | undefined): string | undefined {
  return error?.code === ERROR_CODES.rateLimited.code ? undefined : error?.at;
}

function parseTime(text: string | undefined): number | undefined {
  const time = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
