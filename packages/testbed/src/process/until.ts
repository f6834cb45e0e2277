import { setTimeout as sleep } from 'node:timers/promises';

/** Why a wait ended without its condition; `cause` is the last thing that was wrong. */
export class WaitTimeout extends Error {
  override readonly name = 'WaitTimeout';
}

export interface UntilOptions {
  /** What is waited for, as it completes "waited 5 s for ...". */
  readonly what: string;
  readonly timeoutMs?: number;
  /** Default: 20 ms at first, longer and longer up to 60 ms, since a look costs both who looks and who is looked at. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

const PAUSE_MS = { first: 20, growth: 1.2, most: 60 };

/**
 * Calls `check` until it neither throws nor returns `undefined` or `false`, and gives what it returned.
 * Throws WaitTimeout, which names what was waited for and the last failure, after `timeoutMs` (default 30 s: a machine may
 * have much else to do, and only what fails waits that long).
 */
export async function until<T>(
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const { what, timeoutMs = 30_000, everyMs, signal } = options;
  let pause = everyMs ?? PAUSE_MS.first;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      last = error;
    }
    if (performance.now() >= deadline) {
      const why = last === undefined ? '' : `: ${(last as Partial<Error>).message ?? 'unknown error'}`;
      throw new WaitTimeout(`waited ${timeoutMs / 1000} s for ${what}${why}`, { cause: last });
    }
    await sleep(pause, undefined, signal ? { signal } : {});
    if (everyMs === undefined) pause = Math.min(pause * PAUSE_MS.growth, PAUSE_MS.most);
  }
}

/** Thrown by a check that knows that waiting longer is pointless. */
export class GiveUp extends Error {
  override readonly name: string = 'GiveUp';
}
