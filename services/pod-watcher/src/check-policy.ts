import {
  type CachedImage,
  type CachedImageStatus,
  type CheckMode,
  formatDuration,
  parseDuration,
  type Repository,
  stanzaOf,
} from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';
import type { Holder } from './usage.ts';

/** Who decided that upstream is asked about a tag. */
export const CHECK_REASONS = {
  repository: 'Repository',
  settings: 'Settings',
  pullPolicy: 'PullPolicyAlways',
} as const;

export interface CheckSettings {
  readonly mode?: CheckMode | undefined;
  /** For `Interval`, ms. */
  readonly intervalMs: number;
}

/**
 * Whether nodes ask upstream about an image's tag when it is pulled; undefined: never. A digest cannot move. Then, the first that says
 * something: the Repository's `spec.checkOnPull`, or its interval alone; the settings; the pull policies of the holders, one `Always` of which is enough. While nobody holds it,
 * what was so before stays: pods that come and go are no reason to write.
 */
export function checkOf(
  image: CachedImage,
  repository: Repository | undefined,
  holders: ReadonlyMap<string, Holder>,
  settings: CheckSettings,
): CachedImageStatus['check'] {
  if (tryParseReference(image.spec.sourceImage)?.digest !== undefined) return undefined;
  const { checkOnPull, checkInterval } = repository?.spec ?? {};
  const own = checkOnPull ?? (checkInterval === undefined ? undefined : 'Interval');
  const told = own ?? settings.mode;
  if (told !== undefined) {
    const why = own === undefined ? CHECK_REASONS.settings : CHECK_REASONS.repository;
    const intervalMs = parseDuration(checkInterval ?? '') ?? settings.intervalMs;
    if (told === 'Never') return undefined;
    return told === 'Always' ? { mode: told, why } : { mode: told, interval: formatDuration(intervalMs), why };
  }
  const always = { mode: 'Always', why: CHECK_REASONS.pullPolicy } as const;
  if (holders.size === 0) {
    const before = stanzaOf(image, 'usedBy') === undefined ? undefined : image.status?.check;
    return before?.why === CHECK_REASONS.pullPolicy ? always : undefined;
  }
  return [...holders.values()].some((holder) => holder.always === true) ? always : undefined;
}
