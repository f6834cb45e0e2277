/** Time as a value that tests can replace. */
export interface Clock {
  /** Wall time, epoch ms. */
  now(): number;
  /** Never goes back; ms since an arbitrary start. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** Resolves true after `ms`, or false at once when the signal is (or gets) aborted. Never throws. */
export function wait(ms: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => finish(false);
    // Node fires at once for delays past 2^31-1 ms.
    const timer = setTimeout(() => finish(true), Math.min(ms, 2 ** 31 - 1));
    const finish = (elapsed: boolean): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve(elapsed);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Thrown by `withDeadline`; code `deadline`. */
export class DeadlineError extends Error {
  readonly code = 'deadline';
  constructor(what: string, ms: number) {
    super(`${what} took longer than ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/** The promise's own outcome, or DeadlineError after `ms`. The work itself goes on: pass it a signal when it can stop. */
export async function withDeadline<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(what, ms)), ms);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}
