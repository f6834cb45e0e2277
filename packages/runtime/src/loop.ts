import { backoffMs, DEFAULT_BACKOFF } from './backoff.ts';
import type { Backoff } from './backoff.ts';
import { systemClock, wait } from './clock.ts';
import type { Clock } from './clock.ts';
import { withDeadline } from './deadline.ts';

/** One round of a loop, as told to `onRound`. */
export interface Round {
  readonly loop: string;
  readonly ms: number;
  /** Absent when the round worked. */
  readonly error?: unknown;
  /** Failures in a row, this one included. */
  readonly failures: number;
  readonly nextInMs: number;
}

export interface LoopOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  /** One round. May return how long to wait before the next one instead of `everyMs`. Its signal also ends at the deadline. */
  readonly tick: (signal: AbortSignal) => Promise<void | { afterMs: number }>;
  readonly everyMs: number;
  /** A round that takes longer counts as failed, and its signal is aborted. Default 60 s. */
  readonly deadlineMs?: number;
  readonly backoff?: Backoff;
  /** Metric and log hook. */
  readonly onRound?: (round: Round) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Runs `tick` until the signal ends: `everyMs` after a good round, full-jitter back-off after a bad one. Never throws. */
export async function loop(options: LoopOptions): Promise<void> {
  const { name, signal, tick, everyMs, deadlineMs = 60_000, backoff = DEFAULT_BACKOFF } = options;
  const { clock = systemClock, random = Math.random } = options;
  let failures = 0;
  while (!signal.aborted) {
    const started = clock.monotonic();
    const round = new AbortController();
    let nextInMs = everyMs;
    let failure: { error: unknown } | undefined;
    try {
      const work = tick(AbortSignal.any([signal, round.signal]));
      const verdict = await withDeadline(`one round of ${name}`, deadlineMs, work);
      failures = 0;
      if (verdict) nextInMs = verdict.afterMs;
    } catch (error) {
      round.abort(error);
      // Ending is not a failure.
      if (signal.aborted) return;
      failures += 1;
      nextInMs = backoffMs(failures, backoff, random());
      failure = { error };
    }
    options.onRound?.({ loop: name, ms: clock.monotonic() - started, failures, nextInMs, ...failure });
    await wait(nextInMs, signal);
  }
}
