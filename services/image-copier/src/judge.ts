import { type CacheStanza, ERROR_CODES, type ErrorName, type StanzaError } from '@kuik/contracts';

/** What a failed copy looks like from outside: the registry client's closed code and, when upstream said so, when to come back. */
export interface CopyFailure {
  readonly code: string;
  readonly message: string;
  /** Which side failed. */
  readonly side: 'upstream' | 'cache';
  readonly retryAfterMs?: number;
  /** Why upstream was asked without a credential, when one could not be had. */
  readonly broker?: { readonly failure: ErrorName; readonly message: string };
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

/** Refusals that a credential might have turned into an answer. */
const REFUSALS = new Set(['unauthorized', 'forbidden']);
/** A registry that limits without saying for how long is left alone for this long. */
const DEFAULT_PARK_MS = 60_000;
/** "Retry-After: 0", said again and again, is not taken at its word. */
const SHORTEST_WAIT_MS = 1_000;

/**
 * Turns a failed copy into the stanza's error, in this order: whatever the cache registry refused is `cacheUnavailable`; a refusal
 * for which no credential could be had is the broker's failure ("not found" only while the broker is away: it may be hiding a private
 * image); an upstream code has its own name; anything else is `upstreamFailed`. A rate limit parks the host, not the job. `attempts`
 * counts failures in a row of the same object; when the next try is due is `nextStep`'s to say unless upstream said it.
 */
export function judgeFailure(
  failure: CopyFailure,
  reference: string,
  before: CacheStanza | undefined,
  now: Date,
): FailureVerdict {
  const name = nameOf(failure);
  const { code, remedy } = ERROR_CODES[name];
  const limited = failure.side === 'upstream' && failure.code === 'rate-limited';
  const attempts = (before?.error?.attempts ?? 0) + 1;
  const asked = failure.retryAfterMs ?? (limited ? DEFAULT_PARK_MS : undefined);
  const floor = Math.min(DEFAULT_PARK_MS, SHORTEST_WAIT_MS * 2 ** Math.min(attempts - 1, 10));
  const waitMs = asked === undefined ? undefined : Math.max(asked, floor);
  const cause = failure.broker === undefined ? failure.message : `${failure.message}; ${failure.broker.message}`;
  const error: StanzaError = {
    code,
    message: `cannot copy ${reference}: ${cause}; ${remedy}`,
    at: now.toISOString(),
    attempts,
    ...(waitMs === undefined ? {} : { retryAt: new Date(now.getTime() + waitMs).toISOString() }),
  };
  return { error, name, ...(limited && waitMs !== undefined ? { parkHostMs: waitMs } : {}) };
}

function nameOf({ side, code, broker }: CopyFailure): ErrorName {
  if (side === 'cache') return 'cacheUnavailable';
  const hidden = code === 'not-found' && broker?.failure === 'brokerUnavailable';
  if (broker !== undefined && (REFUSALS.has(code) || hidden)) return broker.failure;
  return UPSTREAM_ERRORS[code] ?? 'upstreamFailed';
}
