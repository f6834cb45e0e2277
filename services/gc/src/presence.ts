import { stanzaOf, type CachedImage, type CacheStanza } from '@kuik/contracts';
import { platformOf, type LookOptions } from '@kuik/registry';

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

/**
 * Which platforms of an image's index the cache has to hold: those that its stanza names and that are not (of another manifest of theirs) on
 * demand. What upstream did not have either is in neither list. Undefined: all, since the stanza names none.
 */
export function keptPlatforms({
  platforms,
  platformsOnDemand = [],
}: Pick<CacheStanza, 'platforms' | 'platformsOnDemand'>): LookOptions['wants'] {
  if (platforms === undefined) return undefined;
  const kept = new Set<string | undefined>(platforms.filter((platform) => !platformsOnDemand.includes(platform)));
  return (child) => kept.has(platformOf(child));
}
