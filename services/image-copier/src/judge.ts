import { type CacheStanza, ERROR_CODES, type ErrorName, type StanzaError } from '@kuik/contracts';

/** What a failed copy looks like from outside: the registry client's closed code and, when upstream said so, when to come back. */
export interface CopyFailure {
  readonly code: string;
  readonly message: string;
  /** Which side failed. */
  readonly side: 'upstream' | 'cache';
  readonly retryAfterMs?: number;
}

export interface FailureVerdict {
  readonly error: StanzaError;
  /** Nobody may ask this host before (ms from now): upstream named a time. */
  readonly parkHostMs?: number;
  readonly name: ErrorName;
}

const UPSTREAM_ERRORS: Record<string, ErrorName> = {
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  'not-found': 'notFound',
  'rate-limited': 'rateLimited',
  refused: 'upstreamUnreachable',
  dns: 'upstreamUnreachable',
  timeout: 'upstreamTimeout',
  truncated: 'upstreamFailed',
  tls: 'tls',
  'address-refused': 'addressRefused',
  'untrusted-host': 'addressRefused',
  'digest-mismatch': 'badDigest',
};

/** A registry that limits without saying for how long is left alone for this long. */
const DEFAULT_PARK_MS = 60_000;

/**
 * Turns a failed copy into the stanza's error, in this order: whatever the cache registry refused is `cacheUnavailable`; an
 * upstream code has its own name; anything else is `upstreamFailed`. A rate limit parks the host, not the job. `attempts` counts
 * failures in a row of the same object; when the next try is due is `nextStep`'s to say unless upstream said it.
 */
export function judgeFailure(
  failure: CopyFailure,
  reference: string,
  before: CacheStanza | undefined,
  now: Date,
): FailureVerdict {
  const name = failure.side === 'cache' ? 'cacheUnavailable' : (UPSTREAM_ERRORS[failure.code] ?? 'upstreamFailed');
  const { code, remedy } = ERROR_CODES[name];
  const limited = failure.side === 'upstream' && failure.code === 'rate-limited';
  const waitMs = failure.retryAfterMs ?? (limited ? DEFAULT_PARK_MS : undefined);
  const error: StanzaError = {
    code,
    message: `cannot copy ${reference}: ${failure.message}; ${remedy}`,
    at: now.toISOString(),
    attempts: (before?.error?.attempts ?? 0) + 1,
    ...(waitMs === undefined ? {} : { retryAt: new Date(now.getTime() + waitMs).toISOString() }),
  };
  return { error, name, ...(limited && waitMs !== undefined ? { parkHostMs: waitMs } : {}) };
}
