import {
  type CacheStanza,
  ERROR_CODES,
  type ErrorName,
  explain,
  explainRefusal,
  remedyFor,
  type StanzaError,
  type UnreadSecret,
} from '@kuik/contracts';
import { formatReference, type Reference } from '@kuik/image';

/** What a failed copy looks like from outside: the registry client's closed code and, when upstream said so, when to come back. */
export interface CopyFailure {
  readonly code: string;
  readonly message: string;
  /** What the cache registry holds with wrong bytes. */
  readonly damaged?: readonly string[];
  /** What `spec.pin` names, and nobody has. */
  readonly pin?: string;
  /** Which side failed. */
  readonly side: 'upstream' | 'cache';
  readonly retryAfterMs?: number;
  /** Why upstream was asked without a credential, when one could not be had. */
  readonly broker?: { readonly failure: ErrorName; readonly message: string };
  /** Whom upstream counted the copy's requests for. */
  readonly account?: string;
  /** Pull secrets that were tried (names), when the broker said so. */
  readonly tried?: readonly string[];
  /** Pull secrets that gave no login, with what is wrong with each. */
  readonly unread?: readonly UnreadSecret[];
}

export interface FailureVerdict {
  readonly error: StanzaError;
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
/** "Retry-After: 0", said again and again, is not taken at its word. */
const SHORTEST_WAIT_MS = 1_000;
const LONGEST_FLOOR_MS = 60_000;

/**
 * Turns a failed copy into the stanza's error, in this order: wrong bytes that it holds are `cacheDamaged`; whatever else the cache registry refused is `cacheUnavailable`; a refusal
 * for which no credential could be had is the broker's failure ("not found" only while the broker is away: it may be hiding a private
 * image); a pin that nobody has is `pinMissing`; an upstream code has its own name; anything else is `upstreamFailed`. `attempts` counts failures in a row of the same
 * object; when the next try is due is `nextStep`'s to say unless upstream said it, or its host is parked.
 */
export function judgeFailure(
  failure: CopyFailure,
  reference: Reference,
  before: CacheStanza | undefined,
  now: Date,
): FailureVerdict {
  const name = nameOf(failure);
  const attempts = (before?.error?.attempts ?? 0) + 1;
  const asked = failure.retryAfterMs;
  const floor = Math.min(LONGEST_FLOOR_MS, SHORTEST_WAIT_MS * 2 ** Math.min(attempts - 1, 10));
  const waitMs = asked === undefined ? undefined : Math.max(asked, floor);
  const error: StanzaError = {
    code: ERROR_CODES[name].code,
    message: explainFailure(name, failure, reference),
    at: now.toISOString(),
    attempts,
    ...(waitMs === undefined ? {} : { retryAt: new Date(now.getTime() + waitMs).toISOString() }),
  };
  return { error, name };
}

function nameOf({ damaged, pin, side, code, broker }: CopyFailure): ErrorName {
  if (damaged !== undefined) return 'cacheDamaged';
  if (side === 'cache') return 'cacheUnavailable';
  const hidden = code === 'not-found' && broker?.failure === 'brokerUnavailable';
  if (broker !== undefined && (REFUSALS.has(code) || hidden)) return broker.failure;
  if (pin !== undefined) return 'pinMissing';
  return UPSTREAM_ERRORS[code] ?? 'upstreamFailed';
}

/** `cannot read ghcr.io/acme/api:v2: the registry refused every credential (pull secret acme/regcred; anonymous). Check that ...` */
function explainFailure(name: ErrorName, failure: CopyFailure, reference: Reference): string {
  const image = formatReference(reference);
  const said = wordsOf(failure.message);
  if (name === 'cacheDamaged') {
    return explain(
      `cannot keep ${image}`,
      `the cache registry cannot be trusted with it: ${said}`,
      ERROR_CODES[name].remedy,
    );
  }
  if (name === 'cacheUnavailable') {
    return explain(`cannot store ${image}`, `the cache registry does not take it: ${said}`, ERROR_CODES[name].remedy);
  }
  if (name === 'pinMissing') return explain(`cannot keep ${failure.pin} for ${image}`, said, ERROR_CODES[name].remedy);
  const doing = `cannot read ${image}`;
  if (failure.tried !== undefined && REFUSALS.has(failure.code)) {
    const { why, remedy } = explainRefusal(reference, failure.tried, said, failure.unread);
    return explain(doing, why, remedy);
  }
  return explain(doing, reasonOf(said, failure.broker?.message), remedyFor(ERROR_CODES[name], reference.host));
}

/** What the registry said, and why there was no credential for it; once when the broker met the same. */
function reasonOf(said: string, broker: string | undefined): string {
  return broker === undefined || broker.endsWith(`: ${said}`) ? said : `${broker}; without it: ${said}`;
}

/** The registry client's words without what our own sentence says already. */
function wordsOf(message: string): string {
  return message.replace(/^cannot (?:read|access) \S+: (?:every credential was refused \([^)]*\): )?/, '');
}
