import { stanzaOf, type CachedImage } from '@kuik/contracts';

/**
 * Which images' content is looked for in the cache now: those that their resource calls cached and that are not on their way out, not looked at
 * for `everyMs`, longest ago first, and at most so many that all have their turn within `everyMs`. `lookedAt`: epoch ms by uid; who is not
 * in there was looked at when it was copied.
 */
export function dueForALook(
  images: Iterable<CachedImage>,
  lookedAt: ReadonlyMap<string, number>,
  { now, everyMs, roundMs }: { now: number; everyMs: number; roundMs: number },
): CachedImage[] {
  const kept = [...images].filter(
    (image) => stanzaOf(image, 'cache')?.digest !== undefined && stanzaOf(image, 'removal') === undefined,
  );
  const last = (image: CachedImage): number => {
    const copiedMs = Date.parse(stanzaOf(image, 'cache')?.copiedAt ?? '');
    return Math.max(lookedAt.get(image.metadata.uid) ?? 0, Number.isNaN(copiedMs) ? 0 : copiedMs);
  };
  return kept
    .map((image) => ({ image, at: last(image) }))
    .filter(({ at }) => at + everyMs <= now)
    .sort((a, b) => a.at - b.at)
    .slice(0, Math.ceil((kept.length * roundMs) / everyMs))
    .map(({ image }) => image);
}
