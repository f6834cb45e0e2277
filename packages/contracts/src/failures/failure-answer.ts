import { ERROR_CODES, type ErrorName } from '../error-codes.ts';
import { isKept, type FailureCell, type PullCase, type UpstreamCase } from './cases.ts';
import { waitsOf, type Wait } from './waits.ts';

/** What one pull gets, and what is told of it. */
export interface FailureAnswer {
  readonly status: number;
  /** `error`: an error body. `broken-off`: the head says 200 or 206, and the client sees that the body is not whole. */
  readonly body: 'whole' | 'broken-off' | 'error';
  /** Why it failed or broke off. */
  readonly failure?: ErrorName;
  /** Wrong bytes that are noticed before the first of them has left are an error instead. */
  readonly orError?: true;
  /** Not compared with a digest: a part of a blob is its client's to check. */
  readonly unchecked?: true;
  /** Carries `Warning: 110 - "Response is Stale"`. */
  readonly stale?: true;
  readonly origin: 'cache' | 'upstream' | 'none';
  readonly reason: string;
  /** What may be waited for, one after the other, at most. */
  readonly waits: readonly Wait[];
  /** What became of the question whether the tag has moved: label `result` of `kuik_proxy_tag_checks_total`. */
  readonly check?: string;
}

type Answer = Omit<FailureAnswer, 'waits' | 'check'>;

interface Failing {
  readonly failure: ErrorName;
}
type Says = 'bytes' | Failing;

const fails = (failure: ErrorName): Failing => ({ failure });

/** What upstream says to HEAD or GET of a manifest. */
const OF_MANIFEST: Readonly<Record<UpstreamCase, Says>> = {
  up: 'bytes',
  slow: 'bytes',
  '401': fails('unauthorized'),
  '403': fails('forbidden'),
  'credential refused': fails('unauthorized'),
  '404': fails('notFound'),
  // Asked by GET then.
  '405 on HEAD': 'bytes',
  '429': fails('rateLimited'),
  '5xx': fails('upstreamFailed'),
  'resets mid-blob': 'bytes',
  'stalls mid-blob': 'bytes',
  'dies mid-blob': 'bytes',
  'wrong bytes': fails('badDigest'),
  'dead CDN': 'bytes',
  down: fails('upstreamUnreachable'),
  'black-holed': fails('upstreamTimeout'),
  'lost packets': fails('upstreamTimeout'),
};

/** What differs for a blob. */
const OF_BLOB: Readonly<Partial<Record<UpstreamCase, Says>>> = {
  '404': fails('blobNotFound'),
  'dead CDN': fails('upstreamUnreachable'),
};

/** What differs for a list of tags; it has no digest that its bytes could miss. */
const OF_TAGS: Readonly<Partial<Record<UpstreamCase, Says>>> = {
  '404': fails('repositoryUnknown'),
  'wrong bytes': 'bytes',
};

/** What differs for a list of referrers: it is not waited for longer than a tag; and where there is no image, nothing refers to it. */
const OF_REFERRERS: Readonly<Partial<Record<UpstreamCase, Says>>> = { slow: fails('upstreamTimeout'), '404': 'bytes' };

/** What becomes of the question whether a tag has moved, where it is not `same`. */
const CHECKS: Readonly<Partial<Record<UpstreamCase, string>>> = {
  slow: 'timeout',
  '401': 'refused',
  '403': 'refused',
  'credential refused': 'refused',
  '404': 'not-found',
  '429': 'rate-limited',
  '5xx': 'server-error',
  down: 'unreachable',
  'black-holed': 'timeout',
  'lost packets': 'timeout',
};

/** What the pull of one place of the table gets. */
export function failureAnswer(cell: FailureCell): FailureAnswer {
  const { cache, pull, upstream } = cell;
  const checked = pull === 'checked tag' && isKept(cache);
  const answer = answerOf(cell);
  return {
    ...answer,
    waits: waitsOf(cell, answer.origin),
    ...(checked ? { check: CHECKS[upstream] ?? 'same' } : {}),
  };
}

function answerOf(cell: FailureCell): Answer {
  const { upstream, cache, pull } = cell;
  switch (pull) {
    // What is addressed by its digest is the cache's where it has it: upstream is not asked.
    case 'digest':
      return cache === 'hit' ? fromCache('ByDigest') : manifest(upstream, 'ByDigest');
    case 'blob':
    case 'Range':
      return cache === 'hit' ? fromCache('ByDigest', pull) : blob(upstream, pull);
    // Lists are upstream's; when it cannot say, the cache's, marked stale. A credential that it refuses is an answer about tags.
    case 'tags': {
      const says = OF_TAGS[upstream] ?? OF_MANIFEST[upstream];
      if (says === 'bytes' || cache !== 'hit' || upstream === 'credential refused') return told(says, 200, 'NotKept');
      return { ...fromCache('UpstreamSilent'), stale: true };
    }
    // Signatures are copied with their image: what the cache has of them is better than none, whatever upstream says.
    case 'referrers': {
      const says = OF_REFERRERS[upstream] ?? OF_MANIFEST[upstream];
      if (cache !== 'hit' || (says === 'bytes' && upstream !== '404')) return told(says, 200, 'NotKept');
      return upstream === '404' ? fromCache('Kept') : { ...fromCache('UpstreamSilent'), stale: true };
    }
    // A kept tag is its cached digest, and what the cache lost or cannot show is upstream's.
    case 'tag':
      if (!isKept(cache)) return manifest(upstream, 'NotKept');
      return cache === 'hit' ? fromCache('CachedTag') : manifest(upstream, 'CacheLost');
    // A checked one is what upstream says; when it does not say so in time, what is kept, marked stale.
    case 'checked tag': {
      if (!isKept(cache)) return manifest(upstream, 'NotKept');
      const stale = CHECKS[upstream] !== undefined;
      const reason = stale ? 'CheckFailed' : 'TagChecked';
      return { ...(cache === 'hit' ? fromCache(reason) : manifest(upstream, reason)), ...staleIf(stale, cell) };
    }
    // Of one that nobody knows upstream is asked first; when it cannot say, the cache's own tag is served, marked stale.
    case 'unknown tag': {
      if (cache !== 'hit') return manifest(upstream, 'StateUnavailable');
      const stale = CHECKS[upstream] !== undefined;
      return { ...fromCache(stale ? 'UpstreamSilent' : 'StateUnavailable'), ...staleIf(stale, cell) };
    }
  }
}

/** Bytes can be stale, an error cannot. */
function staleIf(stale: boolean, { cache, upstream }: FailureCell): { stale?: true } {
  const served = cache === 'hit' || OF_MANIFEST[upstream] === 'bytes';
  return stale && served ? { stale: true } : {};
}

function fromCache(reason: string, pull?: PullCase): Answer {
  return { status: pull === 'Range' ? 206 : 200, body: 'whole', origin: 'cache', reason };
}

function manifest(upstream: UpstreamCase, reason: string): Answer {
  return told(OF_MANIFEST[upstream], 200, reason);
}

function blob(upstream: UpstreamCase, pull: 'blob' | 'Range'): Answer {
  const status = pull === 'Range' ? 206 : 200;
  const begun = { status, origin: 'upstream', reason: 'ByDigest' } as const;
  if (upstream === 'dies mid-blob') return { ...begun, body: 'broken-off', failure: 'upstreamUnreachable' };
  if (upstream === 'wrong bytes')
    return pull === 'Range'
      ? { ...begun, body: 'whole', unchecked: true }
      : { ...begun, body: 'broken-off', failure: 'badDigest', orError: true };
  return told(OF_BLOB[upstream] ?? OF_MANIFEST[upstream], status, 'ByDigest');
}

function told(says: Says, status: number, reason: string): Answer {
  if (says === 'bytes') return { status, body: 'whole', origin: 'upstream', reason };
  const { failure } = says;
  return { status: ERROR_CODES[failure].http, body: 'error', failure, origin: 'none', reason: 'UpstreamFailed' };
}
