import { ORIGINAL_IMAGES_ANNOTATION } from '@kuik/contracts';
import { formatReference, fromProxyImage, originalImageKeyV1, tryParseReference } from '@kuik/image';
import { readEntries } from '@kuik/rules';
import type { Annotations } from './annotation-room.ts';

/** Looks up what was written for an image that goes through the proxy by now; undefined when nothing tells. */
export type OriginalOf = (key: string, image: string) => string | undefined;

/**
 * By the annotation of original images; for a pod that kuik v1 rewrote, by v1's annotation of the container, which counts only when it
 * is one of the readings of the image: anybody could have written it. Long names of containers are hashed as v1 did.
 */
export function originalImages(annotations: Annotations | undefined, proxyPrefixes: readonly string[]): OriginalOf {
  const known = readEntries(annotations?.[ORIGINAL_IMAGES_ANNOTATION]);
  return (key, image) => known[key] ?? writtenForV1(key, image, annotations, proxyPrefixes);
}

function writtenForV1(
  key: string,
  image: string,
  annotations: Annotations | undefined,
  proxyPrefixes: readonly string[],
): string | undefined {
  const kind = key.slice(0, 2);
  if (annotations === undefined || (kind !== 'c:' && kind !== 'i:')) return undefined;
  const written = annotations[originalImageKeyV1(key.slice(2), kind === 'i:')];
  const reference = typeof written === 'string' ? tryParseReference(written) : undefined;
  if (reference === undefined) return undefined;
  const meant = formatReference(reference);
  const fits = fromProxyImage(image, proxyPrefixes).some((reading) => formatReference(reading) === meant);
  return fits ? (written as string) : undefined;
}
