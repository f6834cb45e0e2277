import type { RateLimit, RegistryErrorCode } from './port.ts';

/** Which codes mean that the same request may succeed later without anybody changing anything. */
const RETRY: Record<RegistryErrorCode, boolean> = {
  unauthorized: false,
  forbidden: false,
  'not-found': false,
  'method-not-allowed': false,
  'rate-limited': true,
  'server-error': true,
  refused: true,
  timeout: true,
  tls: false,
  dns: true,
  'address-refused': false,
  'untrusted-host': false,
  'digest-mismatch': true,
  truncated: true,
  'too-large': false,
  'invalid-response': true,
  rejected: false,
  aborted: false,
  'range-not-satisfiable': false,
};

/**
 * What a registry said of a blob, and the asker's own end of it: asked again by another way it would say the same. Every other code leaves it open
 * whether the registry was reached at all.
 */
export const FINAL_WORDS: ReadonlySet<RegistryErrorCode> = new Set([
  'unauthorized',
  'forbidden',
  'not-found',
  'rate-limited',
  'range-not-satisfiable',
  'aborted',
]);

export interface RegistryErrorDetails {
  cause?: unknown;
  status?: number;
  retryAfterMs?: number;
  /** What the answer said of a quota. */
  rateLimit?: RateLimit;
  /** The registry's own code for it (OCI distribution spec, "Error Codes"), when it named one. */
  said?: string;
  /** Bytes of a blob that the sink had accepted when it broke. */
  bytesDelivered?: number;
  /** An answer of upstream's: whose credential was shown last (others may have been refused before), in the broker's word; no account: nobody's in particular. */
  askedAs?: AskedAs;
}

/** Whom a registry counts a request for. */
export interface AskedAs {
  readonly account?: string;
}

/**
 * Everything that can go wrong with a registry. `code` is closed, `retry` says whether the same request may succeed later,
 * `retryAfterMs` what the server asked for. The message names host, repository and object, never a secret or a signed query.
 */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly retry: boolean;
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly rateLimit?: RateLimit;
  readonly said?: string;
  readonly bytesDelivered?: number;
  readonly askedAs?: AskedAs;

  constructor(code: RegistryErrorCode, message: string, details: RegistryErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RegistryError';
    this.code = code;
    this.retry = RETRY[code];
    if (details.status !== undefined) this.status = details.status;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details.rateLimit !== undefined) this.rateLimit = details.rateLimit;
    if (details.said !== undefined) this.said = details.said;
    if (details.bytesDelivered !== undefined) this.bytesDelivered = details.bytesDelivered;
    if (details.askedAs !== undefined) this.askedAs = details.askedAs;
  }
}

/** The code for an HTTP status that was not the hoped-for one. */
export function codeOfStatus(status: number): RegistryErrorCode {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'not-found';
  if (status === 405) return 'method-not-allowed';
  if (status === 408) return 'timeout';
  if (status === 413) return 'too-large';
  if (status === 416) return 'range-not-satisfiable';
  if (status === 429) return 'rate-limited';
  if (status >= 500) return 'server-error';
  if (status >= 400) return 'rejected';
  return 'invalid-response';
}

const CODES_BY_ERRNO: Record<string, RegistryErrorCode> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  ETIMEDOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_OVERFLOW: 'invalid-response',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'truncated',
};

const CERTIFICATE = /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/;

/** The code for an error that a socket, a resolver or undici threw. */
export function codeOfNetworkError(error: unknown): RegistryErrorCode {
  // By shape, not by class: an error may come from another realm of the process.
  let at = error as (NodeJS.ErrnoException & { errors?: unknown }) | null | undefined;
  for (let depth = 0; typeof at === 'object' && at !== null && depth < 4; depth += 1) {
    if (at instanceof RegistryError) return at.code;
    const errno = typeof at.code === 'string' ? at.code : '';
    if (CERTIFICATE.test(errno)) return 'tls';
    const code = CODES_BY_ERRNO[errno];
    if (code !== undefined) return code;
    if (errno.startsWith('HPE_')) return 'invalid-response';
    if (Array.isArray(at.errors) && at.errors.length > 0) return codeOfNetworkError(at.errors[0]);
    at = at.cause as typeof at;
  }
  return 'refused';
}

/** Wraps what a socket, a resolver or undici threw, saying what was being done; a RegistryError passes as it is. */
export function networkError(doing: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = codeOfNetworkError(error);
  const { code: errno, message } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return new RegistryError(code, `${doing}: ${errno ?? message?.split('\n')[0] ?? String(error)}`, { cause: error });
}

/** The caller gave up. */
export function abortedError(doing: string, signal?: AbortSignal): RegistryError {
  return new RegistryError('aborted', `${doing}: aborted by the caller`, { cause: signal?.reason });
}

/** A URL fit for messages: no user info, no query (signed URLs hold secrets there). */
export function describeUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
