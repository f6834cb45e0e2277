import { wantsPlatform } from '@kuik/image';
import { platformOf, type Descriptor } from '@kuik/registry';

/** What of an index is to be copied; see CopyJob. */
export interface Wanted {
  /** Platforms of the cluster's nodes, or configured ones. */
  readonly platforms: readonly string[];
  /** Those that were pulled of this image in spite of that, at earlier times. */
  readonly pulledBefore: readonly string[];
  /** Manifests that were pulled through since. */
  readonly pulled: readonly string[];
}

/** Which platforms of an index to copy, and what attests one that was pulled by itself (`WalkOptions.wants` has the rest). Undefined: all. */
export function wantsOf(wanted: Wanted | undefined): ((child: Descriptor) => boolean) | undefined {
  if (wanted === undefined) return undefined;
  const platforms = [...wanted.platforms, ...wanted.pulledBefore];
  const digests = new Set(wanted.pulled);
  return (child) => {
    const platform = platformOf(child);
    return digests.has(child.digest) || (platform !== undefined && wantsPlatform(platforms, platform));
  };
}

interface PlatformState {
  readonly platform: string;
  /** Of its manifest, when it is known. */
  readonly digest?: string;
  readonly state: string;
}

export interface PlatformsKept {
  readonly platforms: string[];
  readonly platformsOnDemand: string[];
  readonly platformsAbsent: string[];
  readonly platformsPulled: string[];
}

/** What became of an image's platforms, as its stanza tells it. What was pulled stays wanted, whatever the nodes are. */
export function platformsOf(found: readonly PlatformState[], wanted: Wanted | undefined): PlatformsKept {
  const pulled = ({ platform, digest, state }: PlatformState): boolean =>
    wanted !== undefined &&
    state === 'held' &&
    !wantsPlatform(wanted.platforms, platform) &&
    ((digest !== undefined && wanted.pulled.includes(digest)) || wanted.pulledBefore.includes(platform));
  const named = (which: (one: PlatformState) => boolean): string[] => [
    ...new Set(found.filter(which).map(({ platform }) => platform)),
  ];
  return {
    platforms: named(({ state }) => state === 'held'),
    platformsOnDemand: named(({ state }) => state === 'left'),
    platformsAbsent: named(({ state }) => state === 'absent'),
    platformsPulled: named(pulled),
  };
}
