import {
  cachedImageName,
  formatReference,
  parseRepository,
  repositoryName,
  repositoryObjectName,
  tryParseReference,
  type Reference,
} from '@kuik/image';
import { InvalidReference } from '@kuik/image';
import type { CachedImage, Repository } from '@kuik/contracts';

/** What a CachedImage stands for: the canonical form of its source image, or the text itself when it is no reference. */
export function imageIdentity(image: Pick<CachedImage, 'spec'>): string {
  const reference = tryParseReference(image.spec.sourceImage);
  return reference === undefined ? image.spec.sourceImage : formatReference(reference);
}

/** What a Repository stands for: `host/path`, or the text itself when it is none. */
export function repositoryIdentity(repository: Pick<Repository, 'spec'>): string {
  try {
    return repositoryName(parseRepository(repository.spec.name));
  } catch (error) {
    if (error instanceof InvalidReference) return repository.spec.name;
    throw error;
  }
}

/** Lengths of the hash in a generated name: longer ones only when a name is taken by something else. */
const HASH_LENGTHS = [8, 16, 32, 64] as const;

/** The name for a new CachedImage: the shortest that nobody else has. Undefined when all are taken (a person's doing). */
export function freeImageName(reference: Reference, taken: (name: string) => boolean): string | undefined {
  return HASH_LENGTHS.map((length) => cachedImageName(reference, length)).find((name) => !taken(name));
}

/** The same for a Repository. */
export function freeRepositoryName(
  repository: Pick<Reference, 'host' | 'path'>,
  taken: (name: string) => boolean,
): string | undefined {
  return HASH_LENGTHS.map((length) => repositoryObjectName(repository, length)).find((name) => !taken(name));
}
