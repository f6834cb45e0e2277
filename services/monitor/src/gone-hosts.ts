import type { CachedImage } from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';

/** Those of `hosts` that no image names any more, whatever state the images are in. Reads the images only when there is something to find. */
export function goneHosts(hosts: Iterable<string>, images: Iterable<CachedImage>): Set<string> {
  const gone = new Set(hosts);
  for (const image of images) {
    if (gone.size === 0) break;
    gone.delete(tryParseReference(image.spec.sourceImage)?.host ?? '');
  }
  return gone;
}
