import { type CachedImage, stanzaOf } from '@kuik/contracts';
import type { Said } from './access-verdict.ts';

/**
 * What is known of a repository being public, with what image-copier says of its images: a copy that brought no credential and got a manifest
 * proved it at that time. A clock that is ahead proves nothing beyond now.
 */
export function publicByCopies(said: Said, images: readonly CachedImage[], now: number): Said {
  const seen = images.flatMap((image) => {
    const at = Date.parse(stanzaOf(image, 'cache')?.publicAt ?? '');
    return Number.isNaN(at) ? [] : [Math.min(at, now)];
  });
  const proven = Math.max(said.proven ?? -Infinity, ...seen);
  return proven === -Infinity ? said : { ...said, proven };
}

/** Whether the first copy of a repository's images still has its say: none of them was told of, neither as copied nor as failed. */
export function awaitsCopy(images: readonly CachedImage[]): boolean {
  return images.every((image) => stanzaOf(image, 'cache') === undefined);
}
