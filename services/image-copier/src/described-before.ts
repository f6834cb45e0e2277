import type { CacheStanza } from '@kuik/contracts';
import { wantsPlatform } from '@kuik/image';
import { type PlatformsKept, platformsOf, type Wanted } from './wanted.ts';

/** What an object's stanza says of the copy that it names. */
export interface DescribedBefore {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: number;
  readonly blobs: number;
  readonly platforms: readonly string[];
  readonly platformsOnDemand: readonly string[];
}

/** A copy that is there, as its stanza tells it. */
export interface DescribedStill extends PlatformsKept {
  readonly mediaType: string;
  readonly bytes: number;
  readonly blobs: { readonly total: number; readonly copied: 0; readonly mounted: 0; readonly present: number };
}

/** What a stanza says of the copy under `tag`; undefined when it does not say all of it, names a failure since, or a platform that upstream may have by now. */
export function describedBefore(stanza: CacheStanza | undefined, tag: string): DescribedBefore | undefined {
  const { digest, mediaType, bytes, blobs, platforms, platformsOnDemand = [], platformsAbsent = [] } = stanza ?? {};
  if (stanza?.tag !== tag || stanza.error !== undefined || stanza.damaged !== undefined) return undefined;
  if (digest === undefined || mediaType === undefined || platforms === undefined) return undefined;
  if (bytes === undefined || blobs === undefined || platformsAbsent.length > 0) return undefined;
  return { digest, mediaType, bytes, blobs, platforms, platformsOnDemand };
}

/**
 * What a run need not read again that found `digest` under its tag; undefined when the stanza spoke of another digest, or when something is
 * wanted by now that was left on demand, or was pulled since.
 */
export function describedStill(
  before: DescribedBefore | undefined,
  digest: string,
  wanted: Wanted | undefined,
): DescribedStill | undefined {
  if (before?.digest !== digest) return undefined;
  const { mediaType, bytes, blobs, platforms, platformsOnDemand } = before;
  const asked = wanted === undefined ? undefined : [...wanted.platforms, ...wanted.pulledBefore];
  const lacks = platformsOnDemand.some((platform) => asked === undefined || wantsPlatform(asked, platform));
  if (lacks || (wanted?.pulled ?? []).length > 0) return undefined;
  const told = [
    ...platforms.map((platform) => ({ platform, state: 'held' })),
    ...platformsOnDemand.map((platform) => ({ platform, state: 'left' })),
  ];
  return {
    mediaType,
    bytes,
    blobs: { total: blobs, copied: 0, mounted: 0, present: blobs },
    ...platformsOf(told, wanted),
  };
}
