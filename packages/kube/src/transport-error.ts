import { nameOf, type CallTarget } from './call-target.ts';
import { KubeError } from './kube-error.ts';

const TIMEOUTS = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
  'KUIK_CALL_TIMEOUT',
  'KUIK_IDLE_TIMEOUT',
]);
const CLOSED = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH/;

/** A time-out of ours, as an abort reason that `transportError` understands. */
export function timeoutReason(code: 'KUIK_CALL_TIMEOUT' | 'KUIK_IDLE_TIMEOUT', ms: number): Error {
  const what = code === 'KUIK_CALL_TIMEOUT' ? 'no answer' : 'silence';
  return Object.assign(new Error(`${what} for ${ms} ms`), { code });
}

/** Turns whatever the transport threw into a KubeError; one that is already stays as it is. */
export function transportError(target: CallTarget, server: string, thrown: unknown, aborted: boolean): KubeError {
  if (thrown instanceof KubeError) return thrown;
  const { code, text } = look(thrown);
  const failed = `cannot ${target.verb} ${nameOf(target)}`;
  if (TIMEOUTS.has(code)) {
    return new KubeError('timeout', `${failed}: ${server}: ${text}; check that the API server is reachable`, {
      cause: thrown,
    });
  }
  if (aborted) return new KubeError('aborted', `${failed}: aborted by the caller`, { cause: thrown });
  if (CLOSED.has(code)) return new KubeError('aborted', `${failed}: the client is closed`, { cause: thrown });
  const remedy = CERTIFICATE.test(code)
    ? 'check the certificate authority and the server name in the kubeconfig'
    : 'check that the API server is running and reachable';
  return new KubeError('unavailable', `${failed}: ${server}: ${text}; ${remedy}`, { cause: thrown });
}

function look(thrown: unknown): { code: string; text: string } {
  const { code, message, errors } = (thrown ?? {}) as { code?: unknown; message?: unknown; errors?: unknown };
  // A connection tried on several addresses fails with an AggregateError whose own message is empty.
  if (Array.isArray(errors) && errors.length > 0 && (message === undefined || message === '')) return look(errors[0]);
  const text = typeof message === 'string' && message !== '' ? message : String(thrown);
  return { code: typeof code === 'string' ? code : '', text };
}
