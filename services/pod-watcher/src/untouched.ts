import { type CachedImage, FINALIZER, type Repository, REPOSITORY_LABEL, REQUEST_ID_ANNOTATION } from '@kuik/contracts';

/** It holds what this service writes into a new image, and nothing of anybody else. */
export function isUntouchedImage({ metadata, spec, status = {} }: CachedImage): boolean {
  return (
    Object.keys(spec).every((key) => key === 'sourceImage') &&
    isOurs(metadata, { annotation: REQUEST_ID_ANNOTATION, finalizer: FINALIZER }) &&
    [status.cache, status.upstream, status.removal].every((stanza) => stanza === undefined)
  );
}

/** Nobody but us wrote to it: it holds its name, our label, and nothing else, so it can be made again at any time. */
export function isUntouchedRepository({ metadata, spec }: Repository): boolean {
  return Object.entries(spec).every(([key, value]) => key === 'name' || value === undefined) && isOurs(metadata);
}

/** No label, annotation, finalizer or owner but our label and the `annotation` and `finalizer` that we give this kind. */
function isOurs(
  { labels = {}, annotations = {}, finalizers = [], ownerReferences = [] }: (CachedImage | Repository)['metadata'],
  given: { annotation?: string; finalizer?: string } = {},
): boolean {
  return (
    Object.keys(labels).every((key) => key === REPOSITORY_LABEL) &&
    Object.keys(annotations).every((key) => key === given.annotation) &&
    finalizers.every((finalizer) => finalizer === given.finalizer) &&
    ownerReferences.length === 0
  );
}
