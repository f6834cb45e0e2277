import { inTime } from '@kuik/runtime';
import { UpstreamFailure } from './failure.ts';

/** Upstream's answer, when it comes in time; else it is there for whoever asks next. Throws UpstreamFailure `timeout`. */
export async function answeredWithin<T>(ms: number, what: string, asked: Promise<T>): Promise<T> {
  const answer = await inTime(ms, asked);
  if (!answer.late) return answer.value;
  throw new UpstreamFailure('timeout', `upstream did not ${what} within ${ms} ms`, { credentialUsed: false });
}

/** The same, of a question that is given up when nobody waits for it any longer, so that the next one is asked anew. */
export function askedWithin<T>(ms: number, what: string, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  return answeredWithin(ms, what, ask(over.signal)).catch((error: unknown) => {
    over.abort();
    throw error;
  });
}
