import { setTimeout as sleep } from 'node:timers/promises';

/** Why an answer is not waited for (any longer). */
export type WhyLeft = 'NoSignOfLife' | 'WaitedEnough' | 'KnownAway';

/** Who was asked was left without an answer. */
export class LeftUnanswered extends Error {
  readonly why: WhyLeft;

  constructor(why: WhyLeft) {
    super(`left without an answer: ${why}`);
    this.why = why;
  }
}

export interface WaitingOptions {
  /** Who neither answers nor shows for so long that it lives is left. */
  readonly patienceMs: number;
  /** Who lives is left then; monotonic. */
  readonly untilMs: number;
  /** Whether who was asked shows that it lives. Asked after each half of the patience; the answer is waited for until half of it after `untilMs`. */
  readonly lives: () => Promise<boolean>;
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * An answer of somebody who may be waiting himself: waited for as long as he lives, and has time. Throws LeftUnanswered, the question given up by
 * then, and what `ask` throws.
 */
export async function whileAlive<T>(ask: (left: AbortSignal) => Promise<T>, options: WaitingOptions): Promise<T> {
  const left = new AbortController();
  const over = new AbortController();
  try {
    return await Promise.race([ask(left.signal), patienceLost(options, over.signal)]);
  } catch (error) {
    left.abort();
    throw error;
  } finally {
    over.abort();
  }
}

/** Rejects when it is time to leave. */
async function patienceLost({ patienceMs, untilMs, lives, now }: WaitingOptions, over: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(Math.min(patienceMs / 2, Math.max(0, untilMs - now())), undefined, { signal: over });
    if (now() >= untilMs) throw new LeftUnanswered('WaitedEnough');
    const lateMs = untilMs - now() + patienceMs / 2;
    const shown = await Promise.race([lives(), sleep(lateMs, 'late' as const, { signal: over })]);
    if (shown === 'late') throw new LeftUnanswered('WaitedEnough');
    if (!shown) throw new LeftUnanswered('NoSignOfLife');
  }
}
