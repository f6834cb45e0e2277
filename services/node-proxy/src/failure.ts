import { ERROR_CODES, type ErrorCode, type ErrorName } from '@kuik/contracts';
import type { RegistryError, RegistryErrorCode } from '@kuik/registry';

/** Why a pull cannot be answered; the only error that reaches the client, rendered by `answerFailure`. */
export class PullFailure extends Error {
  readonly failure: ErrorName;
  readonly retryAfterMs?: number;
  /** Of the blob whose bytes were asked for beyond its end. */
  readonly totalSize?: number;

  constructor(
    failure: ErrorName,
    message: string,
    details: { cause?: unknown; retryAfterMs?: number; totalSize?: number } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'PullFailure';
    this.failure = failure;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details.totalSize !== undefined) this.totalSize = details.totalSize;
  }

  get code(): ErrorCode {
    return ERROR_CODES[this.failure];
  }
}

/** What went wrong upstream, with or without a credential of ours. */
export class UpstreamFailure extends Error {
  readonly code: RegistryErrorCode;
  /** A credential was sent, so that a refusal is upstream's last word. */
  readonly credentialUsed: boolean;
  /** Set when a credential was needed and none could be had. */
  readonly broker?: ErrorName;
  readonly retryAfterMs?: number;

  constructor(
    code: RegistryErrorCode,
    message: string,
    details: {
      credentialUsed: boolean;
      cause?: unknown;
      broker?: ErrorName;
      retryAfterMs?: number | undefined;
    },
  ) {
    super(message, { cause: details.cause });
    this.name = 'UpstreamFailure';
    this.code = code;
    this.credentialUsed = details.credentialUsed;
    if (details.broker !== undefined) this.broker = details.broker;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
  }
}

const REFUSALS = new Set<RegistryErrorCode>(['unauthorized', 'forbidden', 'not-found']);

/**
 * Whether upstream left the question open, so that the cache's own tag may answer: no connection, time-out, 429, 5xx, nonsense, or a
 * refusal of a request for which no credential could be had. A refusal of a credential is an answer.
 */
export function isSilence(failure: Pick<UpstreamFailure, 'code' | 'credentialUsed'>): boolean {
  if (failure.code === 'aborted' || failure.code === 'range-not-satisfiable') return false;
  return REFUSALS.has(failure.code) ? !failure.credentialUsed : true;
}

/** Whether the next meaning of a name may be tried: upstream, or the lack of its host, told that this one does not exist. */
export function isNoSuchImage({ code }: Pick<UpstreamFailure, 'code'>): boolean {
  return code === 'not-found' || code === 'dns';
}

const NAMES: Record<RegistryErrorCode, ErrorName> = {
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  'not-found': 'notFound',
  'method-not-allowed': 'upstreamFailed',
  'rate-limited': 'rateLimited',
  'server-error': 'upstreamFailed',
  refused: 'upstreamUnreachable',
  timeout: 'upstreamTimeout',
  tls: 'tls',
  dns: 'upstreamUnreachable',
  'address-refused': 'addressRefused',
  'untrusted-host': 'addressRefused',
  'digest-mismatch': 'badDigest',
  truncated: 'upstreamUnreachable',
  'too-large': 'upstreamFailed',
  'invalid-response': 'upstreamFailed',
  rejected: 'upstreamFailed',
  aborted: 'internal',
  'range-not-satisfiable': 'rangeInvalid',
};

/** The code of a body that broke off: its client saw that it is not whole, people see why. */
export function codeOfBroken({ code }: Pick<RegistryError, 'code'>): string {
  return ERROR_CODES[NAMES[code]].code;
}

/**
 * What the client is told of an upstream failure. A refusal for which no credential could be had is the broker's failure, except
 * that a plain "not found" stands when the broker did answer.
 */
export function nameFailure(
  failure: Pick<UpstreamFailure, 'code' | 'broker'>,
  kind: 'manifest' | 'blob' | 'tags',
): ErrorName {
  const notFound = failure.code === 'not-found';
  if (failure.broker !== undefined && REFUSALS.has(failure.code)) {
    if (!notFound || failure.broker === 'brokerUnavailable') return failure.broker;
  }
  if (notFound && kind !== 'manifest') return kind === 'blob' ? 'blobNotFound' : 'repositoryUnknown';
  return NAMES[failure.code];
}

/**
 * The failure of a whole plan: upstream's, the first one that is not a plain "no such image". Anything that is neither upstream's nor
 * the cache's is a defect of ours.
 */
export function failureOf(failures: readonly unknown[], kind: 'manifest' | 'blob' | 'tags'): PullFailure {
  const upstream = failures.filter((failure) => failure instanceof UpstreamFailure);
  const told = upstream.find((failure) => !isNoSuchImage(failure)) ?? upstream[0];
  if (told === undefined) return new PullFailure('internal', 'no place could be asked', { cause: failures[0] });
  return new PullFailure(nameFailure(told, kind), told.message, {
    cause: told,
    ...(told.retryAfterMs === undefined ? {} : { retryAfterMs: told.retryAfterMs }),
  });
}
