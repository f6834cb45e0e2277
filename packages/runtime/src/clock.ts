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
