/** Thrown by `withDeadline`; code `deadline`. */
export class DeadlineError extends Error {
  readonly code = 'deadline';
  constructor(what: string, ms: number) {
    super(`${what} took longer than ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/** What became of work that was given a time. */
export type InTime<T> = { readonly late: false; readonly value: T } | { readonly late: true };

/**
 * What the work gave within `ms`, or that it was late. An early rejection is thrown, a late one is swallowed. The work itself goes on: pass it a
 * signal when it can stop.
 */
export async function inTime<T>(ms: number, work: Promise<T>): Promise<InTime<T>> {
  // Nobody may be left to hear of it.
  work.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<InTime<T>>((resolve) => {
    timer = setTimeout(() => resolve({ late: true }), Math.max(0, ms));
  });
  try {
    return await Promise.race([work.then((value) => ({ late: false as const, value })), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's own outcome, or DeadlineError after `ms`; otherwise as `inTime`. */
export async function withDeadline<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  const outcome = await inTime(ms, work);
  if (outcome.late) throw new DeadlineError(what, ms);
  return outcome.value;
}
