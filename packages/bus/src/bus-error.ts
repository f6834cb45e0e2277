/** Closed codes. `missing`: the stream or bucket does not exist; `refused`: the server said no. */
export type BusErrorCode =
  | 'timeout'
  | 'no-responders'
  | 'disconnected'
  | 'missing'
  | 'refused'
  | 'invalid-payload'
  | 'invalid-reply'
  | 'too-large';

const LASTING: readonly BusErrorCode[] = ['invalid-payload', 'invalid-reply', 'too-large'];

/** A failed call; `retry` says whether the same call may work later. */
export class BusError extends Error {
  readonly code: BusErrorCode;
  readonly retry: boolean;

  constructor(code: BusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BusError';
    this.code = code;
    this.retry = !LASTING.includes(code);
  }
}
