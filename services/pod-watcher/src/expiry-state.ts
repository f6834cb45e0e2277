import { type CachedImage, stanzaOf } from '@kuik/contracts';

/** Where an image is on its way out. */
export const EXPIRY_STATES = ['waiting', 'due', 'condemned'] as const;
export type ExpiryState = (typeof EXPIRY_STATES)[number];

/** Condemned by gc; else unused with a date that is past (`due`) or to come (`waiting`); undefined when nothing makes it go. */
export function expiryState(image: CachedImage, now: number): ExpiryState | undefined {
  if (stanzaOf(image, 'removal') !== undefined) return 'condemned';
  const date = image.spec.expiresAt ?? image.status?.expiresAt;
  const unused = stanzaOf(image, 'usedBy')?.count === 0 && image.spec.retain !== true;
  if (!unused || date === undefined) return undefined;
  return Date.parse(date) <= now ? 'due' : 'waiting';
}
