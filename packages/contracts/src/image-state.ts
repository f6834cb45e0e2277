import { cacheTag, formatReference, stateKey, tryParseReference } from '@kuik/image';
import { parseDuration } from './duration.ts';
import { REQUEST_ID_ANNOTATION } from './names.ts';
import type { CachedImage, CachedImageStatus, CacheStanza } from './resources.ts';
import { type ImageState, REQUEST_ID_MAX } from './subjects.ts';

type Stanza = 'cache' | 'upstream' | 'removal' | 'usedBy';

/** A stanza that speaks of this very object; one written for an earlier object of the same name is absent. */
export function stanzaOf<S extends Stanza>(
  image: CachedImage,
  stanza: S,
): NonNullable<CachedImageStatus[S]> | undefined {
  const value = image.status?.[stanza];
  return value?.forUid === image.metadata.uid ? value : undefined;
}

/** When a copy last asked upstream what the image's name stands for (RFC 3339); undefined: none did. */
export function copyAskedAt(cache: CacheStanza | undefined): string | undefined {
  return cache?.askedAt ?? cache?.copiedAt;
}

/**
 * What nodes need to know of an image, projected from its resource; undefined when `spec.sourceImage` is no reference.
 * The same pure function serves pod-watcher's full list and the copier's and gc's updates after their own status apply.
 */
export function project(image: CachedImage): { key: string; state: ImageState } | undefined {
  const reference = tryParseReference(image.spec.sourceImage);
  if (reference === undefined) return undefined;
  const cache = stanzaOf(image, 'cache');
  const removal = stanzaOf(image, 'removal');
  const state: ImageState = {
    reference: formatReference(reference),
    uid: image.metadata.uid,
    resourceVersion: image.metadata.resourceVersion,
    cacheTag: cache?.tag ?? cacheTag(reference),
  };
  if (cache?.digest !== undefined && removal?.removedAt === undefined) state.digest = cache.digest;
  if (cache?.mediaType !== undefined && state.digest !== undefined) state.mediaType = cache.mediaType;
  if (removal !== undefined) state.condemned = true;
  const check = stanzaOf(image, 'usedBy') === undefined ? undefined : image.status?.check;
  if (check !== undefined) state.check = { everyMs: parseDuration(check.interval ?? '0s') ?? 0 };
  if (image.spec.pin !== undefined) state.pin = image.spec.pin;
  const requestId = image.metadata.annotations?.[REQUEST_ID_ANNOTATION];
  if (requestId !== undefined && requestId.length <= REQUEST_ID_MAX) state.requestId = requestId;
  return { key: stateKey(reference), state };
}

/**
 * Whether a projected state may replace a stored one: never an older resourceVersion of the same uid. A different uid (the
 * object was made anew) always may. (resourceVersions of one resource type are comparable as integers since Kubernetes 1.35.)
 */
export function supersedes(next: ImageState, stored: ImageState | undefined): boolean {
  if (stored === undefined || stored.uid !== next.uid) return true;
  return compareVersions(next.resourceVersion, stored.resourceVersion) > 0;
}

function compareVersions(a: string, b: string): number {
  return a.length === b.length ? (a < b ? -1 : a > b ? 1 : 0) : a.length - b.length;
}
