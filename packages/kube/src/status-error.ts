import { nameOf, plural, rbacVerb, type CallTarget } from './call-target.ts';
import { KubeError } from './kube-error.ts';
import type { KubeErrorCode } from './port.ts';

/** The parts of a `Status` object that decide; https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export interface StatusBody {
  kind?: string;
  code?: number;
  reason?: string;
  message?: string;
  details?: { name?: string; retryAfterSeconds?: number };
}

/** An apply that does not fit the schema (an unknown field, a list key twice): the server answers 500, but it never will fit. */
const UNFIT = /failed to create typed (patch|new|live) object/;

/** The closed code of an HTTP status and a Status. */
export function codeOf(status: number, { reason, message = '' }: StatusBody = {}): KubeErrorCode {
  if (status === 500 && UNFIT.test(message)) return 'invalid';
  switch (status) {
    case 401:
      return 'unauthorized';
    case 403:
      return 'forbidden';
    case 404:
      return 'not-found';
    case 409:
      return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
    case 410:
      return 'gone';
    case 400:
    case 413:
    case 415:
    case 422:
      return 'invalid';
    case 429:
      return 'too-many-requests';
    case 504:
      return 'timeout';
    default:
      return status >= 500 ? 'unavailable' : 'unexpected';
  }
}

/** The error of an answer of 400 or more (or of an ERROR event of a watch). */
export function statusError(target: CallTarget, status: number, body: StatusBody, retryAfter?: string): KubeError {
  const code = codeOf(status, body);
  const said = body.message ?? body.reason ?? `HTTP ${status}`;
  const seconds = body.details?.retryAfterSeconds ?? (retryAfter === undefined ? undefined : Number(retryAfter));
  return new KubeError(code, `cannot ${target.verb} ${nameOf(target)}: ${said}; ${remedy(code, target, body)}`, {
    status,
    retryAfterMs: seconds !== undefined && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

function remedy(code: KubeErrorCode, target: CallTarget, body: StatusBody): string {
  switch (code) {
    case 'not-found':
      // Without a name in its details the server knows no such collection at all.
      return body.details?.name === undefined && target.resource !== undefined
        ? `the API server does not serve ${plural(target.resource)}: install its CRD`
        : 'check the name';
    case 'forbidden':
      return target.resource === undefined
        ? 'grant the service account this path'
        : `grant the service account "${rbacVerb(target.verb)}" on ${plural(target.resource)}${target.subresource === undefined ? '' : `/${target.subresource}`}, or see why an admission policy refused`;
    case 'unauthorized':
      return 'check the token or client certificate; a token file is read again before the next call';
    case 'conflict':
      return 'read the object again and decide anew';
    case 'already-exists':
      return 'read the existing object';
    case 'gone':
      return 'list again';
    case 'invalid':
      return 'correct the named fields';
    case 'too-many-requests':
      return 'the server is protecting itself: wait and try again';
    case 'unavailable':
    case 'timeout':
      return 'the server is starting, stopping or overloaded: try again';
    case 'aborted':
    case 'unexpected':
      return 'see the API server log';
  }
}
