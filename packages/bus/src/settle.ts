import type { Decoded } from './codec.ts';
import type { Delivery, Verdict } from './port.ts';
import type { Reports } from './reports.ts';

export interface Settling<T> {
  readonly subject: string;
  /** Starts at 1. */
  readonly attempt: number;
  readonly maxDeliver: number;
  readonly decoded: Decoded<T>;
  readonly onMessage: (delivery: Delivery<T>) => Promise<Verdict>;
  readonly reports: Reports;
}

/**
 * What becomes of one delivery, counted:
 * 1. delivered more often than allowed (its last handler died) -> dead letters;
 * 2. does not fit the schema -> dead letters;
 * 3. the handler's verdict; a thrown error is `retry`;
 * 4. a retry after the last allowed delivery -> dead letters.
 */
export async function settle<T>({
  subject,
  attempt,
  maxDeliver,
  decoded,
  onMessage,
  reports,
}: Settling<T>): Promise<Verdict> {
  if (attempt > maxDeliver) return refuse(`delivered ${attempt} times`);
  if (!decoded.ok) return refuse(`does not fit: ${decoded.reason}`);
  const verdict = await onMessage({ payload: decoded.value, subject, attempt }).catch((error: unknown): Verdict => ({
    do: 'retry',
    afterMs: 1000 * attempt,
    reason: error instanceof Error ? error.message : String(error),
  }));
  if (verdict.do === 'refuse') return refuse(verdict.reason);
  if (verdict.do === 'retry' && attempt >= maxDeliver) return refuse(`${verdict.reason} (after ${attempt} deliveries)`);
  reports.count(subject, verdict.do === 'ack' ? 'acknowledged' : 'retried');
  return verdict;

  function refuse(reason: string): Verdict {
    reports.trouble(subject, 'dead', 'message goes to the dead letters', { reason });
    return { do: 'refuse', reason };
  }
}
