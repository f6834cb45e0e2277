import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is neither undefined nor false, and returns it; a throw is a no. Fails after `timeoutMs` (5 s). */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { what, timeoutMs = 5_000 }: { what: string; timeoutMs?: number },
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await ask();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await sleep(5);
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last });
}
