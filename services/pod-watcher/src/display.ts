import { type CachedImage, type CachedImageStatus, stanzaOf } from '@kuik/contracts';
import { holdingOf } from './cached.ts';
import { imageIdentity } from './identity.ts';
import type { UpstreamState } from '@kuik/contracts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `68 MiB`: at most three digits, so a decimal only below ten. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit > 0 && value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : String(Math.round(value));
  return `${text} ${UNITS[unit]}`;
}

/**
 * What `kubectl get` prints. Expiry is a day, `never` when retained, nothing while used: text that does not have to be
 * rewritten as time passes.
 */
export function displayOf(image: CachedImage, upstream: UpstreamState): NonNullable<CachedImageStatus['display']> {
  const { status = {}, spec } = image;
  const count = stanzaOf(image, 'usedBy')?.count;
  const { cache, cached } = holdingOf(image);
  const bytes = cached ? cache?.bytes : undefined;
  return {
    image: imageIdentity(image),
    upstream: upstream === 'Unknown' ? '-' : upstream,
    usedBy: count === undefined ? '' : String(count),
    expires: spec.retain === true ? 'never' : (status.expiresAt?.slice(0, 10) ?? ''),
    size: bytes === undefined ? '-' : formatBytes(bytes),
  };
}
