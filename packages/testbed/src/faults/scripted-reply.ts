import type { FaultIn } from './rule.ts';

/** A whole answer that is not the registry's. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** OCI error codes by status (OCI distribution spec, "Error Codes"; TOOMANYREQUESTS and others as registries send them). */
const CODES: Readonly<Record<number, readonly [code: string, message: string]>> = {
  400: ['NAME_INVALID', 'invalid repository name'],
  401: ['UNAUTHORIZED', 'authentication required'],
  403: ['DENIED', 'requested access to the resource is denied'],
  404: ['NAME_UNKNOWN', 'repository name not known to registry'],
  405: ['UNSUPPORTED', 'the operation is unsupported'],
  416: ['RANGE_INVALID', 'invalid content range'],
  429: ['TOOMANYREQUESTS', 'too many requests'],
  500: ['UNKNOWN', 'unknown error'],
  502: ['UNAVAILABLE', 'bad gateway'],
  503: ['UNAVAILABLE', 'service unavailable'],
  504: ['UNAVAILABLE', 'gateway time-out'],
};

/** What an `answer` fault sends. `challenge` is the finished WWW-Authenticate of a 401, if it is to have one. */
export function scriptedReply(fault: FaultIn<'reply'> & { do: 'answer' }, nowMs: number, challenge?: string): Reply {
  const [code, message] = CODES[fault.status] ?? ['UNKNOWN', 'unknown'];
  const headers: Record<string, string> = {};
  if (fault.retryAfter !== undefined) {
    headers['retry-after'] =
      fault.retryAfterAsDate === true
        ? new Date(nowMs + fault.retryAfter * 1000).toUTCString()
        : String(fault.retryAfter);
  }
  if (challenge !== undefined) headers['www-authenticate'] = challenge;
  if (fault.body === undefined) {
    const reply = errorReply(fault.status, fault.code ?? code, fault.message ?? message);
    return { ...reply, headers: { ...reply.headers, ...headers, ...lowerCase(fault.headers) } };
  }
  headers['content-type'] = fault.contentType ?? 'text/html';
  return { status: fault.status, headers: { ...headers, ...lowerCase(fault.headers) }, body: fault.body };
}

/** A spec-shaped error. */
export function errorReply(status: number, code: string, message: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0', ...headers },
    body: `${JSON.stringify({ errors: [{ code, message }] })}\n`,
  };
}

/** Docker Hub's quota headers. */
export function quotaHeaders(limit: number, remaining: number, windowSeconds: number): Record<string, string> {
  return {
    'ratelimit-limit': `${limit};w=${windowSeconds}`,
    'ratelimit-remaining': `${Math.max(0, remaining)};w=${windowSeconds}`,
  };
}

/** Header names in lower case, as the rest of the proxy writes them. */
export function lowerCase(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
