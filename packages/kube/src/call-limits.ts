import { timeoutReason } from './transport-error.ts';

export interface CallLimits {
  readonly signal: AbortSignal;
  /** Starts the time again: something was heard. */
  heard(): void;
  /** Removes timer and listener; call it when the call has ended. */
  end(): void;
}

/**
 * One signal out of a caller's and a time bound: 'call' bounds the whole, 'idle' the silence between `heard()`s.
 * (AbortSignal.any with a long-lived signal keeps a reference per call until it is collected; this does not.)
 */
export function callLimits(caller: AbortSignal | undefined, bound: 'call' | 'idle', ms: number): CallLimits {
  const controller = new AbortController();
  const abort = (): void => controller.abort(caller?.reason);
  if (caller?.aborted === true) abort();
  caller?.addEventListener('abort', abort);
  const code = bound === 'call' ? 'KUIK_CALL_TIMEOUT' : 'KUIK_IDLE_TIMEOUT';
  const timer = ms > 0 ? setTimeout(() => controller.abort(timeoutReason(code, ms)), ms) : undefined;
  return {
    signal: controller.signal,
    heard: () => void timer?.refresh(),
    end() {
      clearTimeout(timer);
      caller?.removeEventListener('abort', abort);
    },
  };
}
