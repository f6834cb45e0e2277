import {
  type CachedImage,
  copyAskedAt,
  formatDuration,
  parseDuration,
  type Repository,
  stanzaOf,
} from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';
import { patternFinder, patternMistake } from '@kuik/rules';
import { imageIdentity } from './identity.ts';

export const UPDATE_REASONS = {
  scheduled: 'Scheduled',
  intervalInvalid: 'IntervalInvalid',
  filterInvalid: 'FilterInvalid',
} as const;

/** What a Repository's `updateInterval` and `updateFilters` ask for. */
export type UpdatePolicy =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'invalid';
      readonly reason: typeof UPDATE_REASONS.intervalInvalid | typeof UPDATE_REASONS.filterInvalid;
      /** For a person: the field, what is wrong with it, the remedy. */
      readonly message: string;
    }
  | { readonly kind: 'every'; readonly everyMs: number; readonly matches: (image: CachedImage) => boolean };

/** A shorter interval counts as this one: each look is two writes to the API server. */
const SHORTEST_MS = 60_000;

/**
 * Reads a Repository's wish, in this order: no interval: none; an interval that is no duration above zero, or a filter that is no RE2 pattern:
 * invalid, and nothing is updated on half of a wish; else every image of it, or those that a filter matches: unanchored, on the image as
 * `spec.sourceImage` writes it and in its canonical form.
 */
export function updatePolicy({ updateInterval, updateFilters = [] }: Repository['spec']): UpdatePolicy {
  if (updateInterval === undefined) return { kind: 'none' };
  const everyMs = parseDuration(updateInterval);
  if (everyMs === undefined || everyMs <= 0) {
    const message = `spec.updateInterval ${JSON.stringify(updateInterval)} is not a duration above zero: write for example 30m, 1h30m or 7d`;
    return { kind: 'invalid', reason: UPDATE_REASONS.intervalInvalid, message };
  }
  for (const [index, pattern] of updateFilters.entries()) {
    const mistake = patternMistake(pattern);
    if (mistake === undefined) continue;
    const message = `spec.updateFilters[${index}] ${JSON.stringify(pattern)} is ${mistake}; until it is corrected or removed nothing is updated`;
    return { kind: 'invalid', reason: UPDATE_REASONS.filterInvalid, message };
  }
  const find = patternFinder(updateFilters);
  const matches = (image: CachedImage): boolean =>
    updateFilters.length === 0 || find([image.spec.sourceImage, imageIdentity(image)]) !== -1;
  return { kind: 'every', everyMs: Math.max(everyMs, SHORTEST_MS), matches };
}

/** The policy in words that stay the same while it does. */
export function describePolicy({ everyMs }: { readonly everyMs: number }, filters: number): string {
  const which = filters === 0 ? 'every image' : `each image that one of ${filters} filters matches`;
  return `upstream is asked for ${which} every ${formatDuration(everyMs)}`;
}

/**
 * When upstream is to be asked for an image again (epoch ms): its last copy, which may have found nothing new, and the interval. That
 * is kept in the resource, so neither a restart nor a lost queue repeats or skips one, and a try that failed is none. Undefined: never. A digest does not move.
 */
export function updateAt(image: CachedImage, policy: UpdatePolicy): number | undefined {
  if (policy.kind !== 'every' || !policy.matches(image)) return undefined;
  const reference = tryParseReference(image.spec.sourceImage);
  if (reference === undefined || reference.digest !== undefined) return undefined;
  const askedAt = copyAskedAt(stanzaOf(image, 'cache'));
  return askedAt === undefined ? 0 : Date.parse(askedAt) + policy.everyMs;
}

const known = new WeakMap<Repository['spec'], UpdatePolicy>();

/** `updatePolicy` of the Repository that counts, its patterns compiled once. */
export function policyOf(repository: Repository | undefined): UpdatePolicy {
  if (repository === undefined) return { kind: 'none' };
  const policy = known.get(repository.spec) ?? updatePolicy(repository.spec);
  known.set(repository.spec, policy);
  return policy;
}
