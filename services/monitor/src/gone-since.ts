import type { UpstreamStanza } from '@kuik/contracts';

/**
 * Since when upstream does not have the image (RFC 3339), whether or not it says so now; undefined while it is not known to be gone. Stanzas of
 * former versions tell it by their error alone.
 */
export function goneSinceOf(upstream: UpstreamStanza | undefined): string | undefined {
  return upstream?.goneSince ?? (upstream?.state === 'Deleted' ? upstream.error?.at : undefined);
}
