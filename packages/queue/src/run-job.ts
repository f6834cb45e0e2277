import type { JobEnd, JobProgress, QueueReports, Work } from './port.ts';
import type { RunningJob } from './running-jobs.ts';

/** What the queue has to do with a job whose work ended. `leave`: it is another worker's, touch nothing. */
export type Ending =
  | { do: 'complete' }
  | { do: 'delay'; ms: number }
  | { do: 'fail'; reason: string }
  | { do: 'return' }
  | { do: 'leave' };

const PROGRESS_EVERY_MS = 500;

/** Runs the work of one job and says what has to become of it; reports once, never throws. */
export async function runJob<T>(
  job: RunningJob,
  payload: T,
  work: Work<T>,
  record: (progress: JobProgress) => void,
  reports: QueueReports,
): Promise<Ending> {
  const startedMs = performance.now();
  // What is over at once is not worth the telling.
  let recordedMs = startedMs;
  const progress = (progress: JobProgress): Promise<void> => {
    const now = performance.now();
    if (now - recordedMs >= PROGRESS_EVERY_MS) {
      recordedMs = now;
      if (!job.lost) record(progress);
    }
    return Promise.resolve();
  };

  let ending: Ending;
  let end: JobEnd;
  let reason: unknown;
  try {
    const outcome = await work({ id: job.id, payload, signal: job.signal, takenOver: job.takenOver, progress });
    if (job.lost) [ending, end] = [{ do: 'leave' }, 'lost'];
    else if (outcome.do === 'done') [ending, end] = [{ do: 'complete' }, 'done'];
    else if (outcome.do === 'park')
      [ending, end, reason] = [{ do: 'delay', ms: outcome.afterMs }, 'parked', outcome.reason];
    else [ending, end, reason] = [{ do: 'fail', reason: outcome.reason }, 'failed', outcome.reason];
  } catch (error) {
    reason = error;
    if (job.lost) [ending, end] = [{ do: 'leave' }, 'lost'];
    else if (job.signal.aborted) [ending, end] = [{ do: 'return' }, 'interrupted'];
    else [ending, end] = [{ do: 'fail', reason: error instanceof Error ? error.message : String(error) }, 'failed'];
  }
  const seconds = (performance.now() - startedMs) / 1000;
  reports.ended?.(end, seconds);
  if (end === 'failed') reports.log?.error('job failed', { job: job.id, error: reason });
  else if (end === 'lost' || end === 'interrupted') reports.log?.warn('job not finished here', { job: job.id, end });
  else if (end === 'parked') reports.log?.debug('job parked', { job: job.id, reason });
  return ending;
}
