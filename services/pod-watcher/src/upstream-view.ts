import { type CachedImage, copyAskedAt, ERROR_CODES, stanzaOf, type UpstreamState } from '@kuik/contracts';
import { holdingOf } from './cached.ts';

/** What is known of the upstream image, whoever looked last. */
export interface UpstreamView {
  readonly state: UpstreamState;
  readonly digest?: string;
  readonly lastSeen?: string;
  /** Since when it does not have the image, whether or not it says so now. */
  readonly goneSince?: string;
  /** When somebody last asked, with or without an answer. */
  readonly lastAsked?: string;
  readonly why?: string;
}

const STATE_OF_CODE: Readonly<Record<string, UpstreamState>> = {
  [ERROR_CODES.unauthorized.code]: 'Unauthorized',
  [ERROR_CODES.forbidden.code]: 'Unauthorized',
  [ERROR_CODES.notFound.code]: 'Deleted',
  [ERROR_CODES.rateLimited.code]: 'RateLimited',
  [ERROR_CODES.upstreamUnreachable.code]: 'Unreachable',
  [ERROR_CODES.upstreamTimeout.code]: 'Unreachable',
  [ERROR_CODES.upstreamFailed.code]: 'Error',
  [ERROR_CODES.badDigest.code]: 'Error',
  [ERROR_CODES.addressRefused.code]: 'Error',
  [ERROR_CODES.tls.code]: 'Error',
};

/**
 * What upstream says, from the monitor's stanza, or from the copy when that is newer: a copy that worked saw the image, one that
 * failed at the upstream saw why not. A moved tag whose new digest was copied since is simply available.
 */
export function upstreamView(image: CachedImage): UpstreamView {
  const upstream = stanzaOf(image, 'upstream');
  const cache = stanzaOf(image, 'cache');
  const checkedAt = latest(upstream?.lastSeen, upstream?.error?.at);
  const askedAt = cache?.digest === undefined ? undefined : copyAskedAt(cache);
  const { goneSince } = upstream ?? {};
  const gone = goneSince === undefined || (askedAt !== undefined && askedAt > goneSince) ? {} : { goneSince };
  const failure = cache?.error;
  const failed = failure === undefined ? undefined : STATE_OF_CODE[failure.code];

  if (failure !== undefined && failed !== undefined && !(checkedAt !== undefined && checkedAt > failure.at)) {
    const lastSeen = latest(upstream?.lastSeen, copyAskedAt(cache));
    return {
      state: failed,
      ...(lastSeen === undefined ? {} : { lastSeen }),
      ...gone,
      lastAsked: failure.at,
      why: failure.message,
    };
  }
  if (askedAt !== undefined && !(checkedAt !== undefined && checkedAt > askedAt)) {
    return { state: 'Available', digest: cache!.digest!, lastSeen: askedAt, lastAsked: askedAt };
  }
  if (upstream === undefined) return { state: 'Unknown' };
  const moved = upstream.state === 'Moved' && upstream.digest !== undefined && upstream.digest === cache?.digest;
  return {
    state: moved ? 'Available' : upstream.state,
    ...(upstream.digest === undefined ? {} : { digest: upstream.digest }),
    ...(upstream.lastSeen === undefined ? {} : { lastSeen: upstream.lastSeen }),
    ...gone,
    ...(checkedAt === undefined ? {} : { lastAsked: checkedAt }),
    ...(upstream.error === undefined ? {} : { why: upstream.error.message }),
  };
}

/** It does not have the image, for all that is known. */
export function isGone({ state, goneSince }: UpstreamView): boolean {
  return state === 'Deleted' || goneSince !== undefined;
}

/** The cache holds what upstream does not have any more: nothing else can bring it back. */
export function isOrphaned(image: CachedImage, upstream = upstreamView(image)): boolean {
  return holdingOf(image).cached && isGone(upstream);
}

/** The later of two RFC 3339 times. */
function latest(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Date.parse(a) >= Date.parse(b) ? a : b;
}
