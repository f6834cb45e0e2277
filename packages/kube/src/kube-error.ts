import type { KubeErrorCode } from './port.ts';

export interface KubeErrorDetails {
  /** HTTP status, when the server answered. */
  status?: number | undefined;
  /** How long the server asked to wait. */
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

const RETRY: ReadonlySet<KubeErrorCode> = new Set(['too-many-requests', 'unavailable', 'timeout', 'unauthorized']);

/** An API server's refusal or absence. `retry`: the same call may succeed later, nothing else changed. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  readonly retry: boolean;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: KubeErrorCode, message: string, details: KubeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retry = RETRY.has(code);
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Whether `error` is a KubeError (of one of these codes, when any are given). */
export function isKubeError(error: unknown, ...codes: KubeErrorCode[]): error is KubeError {
  return error instanceof KubeError && (codes.length === 0 || codes.includes(error.code));
}

/** What the call gave; undefined when the object is not there. Throws every other failure. */
export async function orAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isKubeError(error, 'not-found')) return undefined;
    throw error;
  }
}
