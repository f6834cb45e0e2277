import type { CachedImage, Repository } from '@kuik/contracts';
import { isUntouchedImage, isUntouchedRepository } from './untouched.ts';

export const WAY_REASONS = {
  going: 'Going',
  notOurs: 'NotMadeHere',
  used: 'SomebodySaidMore',
  alone: 'Alone',
  surplus: 'Surplus',
} as const;

export interface Way {
  readonly do: 'stay' | 'go';
  readonly reason: (typeof WAY_REASONS)[keyof typeof WAY_REASONS];
}

/**
 * Whether a CachedImage makes way for another one of the same image. Watches lag: somebody may name an image a moment before or after we
 * do, and what they wrote has to count. Only a fresh object of this very process goes, one that says no more than would be written again;
 * any other second object stays and is a duplicate. `madeLately` knows what this process created. In this order it stays when:
 * it is being deleted; this process did not make it just now; a person or another service said something in it; nobody else's object
 * for the image is there to stay.
 */
export function makesWay(
  image: CachedImage,
  all: readonly CachedImage[],
  madeLately: (image: CachedImage) => boolean,
): Way {
  return wayOf(image, all, madeLately, isUntouchedImage);
}

/** The same for a Repository. */
export function repositoryMakesWay(
  repository: Repository,
  all: readonly Repository[],
  madeLately: (repository: Repository) => boolean,
): Way {
  return wayOf(repository, all, madeLately, isUntouchedRepository);
}

function wayOf<T extends CachedImage | Repository>(
  object: T,
  all: readonly T[],
  madeLately: (object: T) => boolean,
  untouched: (object: T) => boolean,
): Way {
  if (isGoing(object)) return { do: 'stay', reason: WAY_REASONS.going };
  if (!madeLately(object)) return { do: 'stay', reason: WAY_REASONS.notOurs };
  if (!untouched(object)) return { do: 'stay', reason: WAY_REASONS.used };
  if (!all.some((other) => !isGoing(other) && !madeLately(other))) return { do: 'stay', reason: WAY_REASONS.alone };
  return { do: 'go', reason: WAY_REASONS.surplus };
}

function isGoing({ metadata }: CachedImage | Repository): boolean {
  return metadata.deletionTimestamp !== undefined;
}
