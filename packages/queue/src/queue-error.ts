/** `redis-away`: no answer in time; `invalid-payload`: it does not fit the queue's schema. */
export type QueueErrorCode = 'redis-away' | 'invalid-payload';

/** A failed call; `retry` says whether the same call may work later. */
export class QueueError extends Error {
  readonly code: QueueErrorCode;
  readonly retry: boolean;

  constructor(code: QueueErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QueueError';
    this.code = code;
    this.retry = code === 'redis-away';
  }
}
