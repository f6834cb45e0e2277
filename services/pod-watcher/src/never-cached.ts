import type { CachedImage } from '@kuik/contracts';
import { InvalidReference, parseReference, type Reference, repositoryName, toCacheRepository } from '@kuik/image';

export const NEVER_REASONS = { notAReference: 'NotAReference', notEncodable: 'NotEncodable' } as const;

/** Why an image can never be in the cache, for a person, with the way out. */
export interface NeverCached {
  readonly reason: (typeof NEVER_REASONS)[keyof typeof NEVER_REASONS];
  readonly message: string;
}

const REMEDY = 'delete this CachedImage and create one for the image that is meant';

/**
 * Whether an object's image can be kept at all. The CRD refuses nearly everything that cannot; what it lets through, or was there before
 * its rules, is told and left alone. In this order: it is no reference; its repository has no name in the cache.
 */
export function neverCached({ spec: { sourceImage } }: Pick<CachedImage, 'spec'>): NeverCached | undefined {
  let reference: Reference;
  try {
    reference = parseReference(sourceImage);
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    return { reason: NEVER_REASONS.notAReference, message: `${error.message}; ${REMEDY}` };
  }
  if (toCacheRepository(reference) !== undefined) return undefined;
  const why = reference.host.startsWith('[')
    ? 'an IPv6 address cannot be written as a path: give the registry a host name'
    : 'host and path together are longer than 255 characters';
  return {
    reason: NEVER_REASONS.notEncodable,
    message: `the cache cannot hold ${repositoryName(reference)}: ${why}; ${REMEDY}`,
  };
}
