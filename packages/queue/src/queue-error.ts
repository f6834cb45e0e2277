/** Closed codes. `unavailable`: Redis did not answer in time; `invalid-payload`: a mistake of the caller. */
export type QueueErrorCode = 'unavailable' | 'invalid-payload' | 'invalid-settings';

/** A failed call; `retry` says whether the same call may work later. */
export class QueueError extends Error {
  readonly code: QueueErrorCode;
  readonly retry: boolean;

  constructor(code: QueueErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QueueError';
    this.code = code;
    this.retry = code === 'unavailable';
  }
}
