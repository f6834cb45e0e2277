import { Queue } from 'bullmq';
import type { JobQueue } from '@kuik/contracts';
import { within } from '../bounded.ts';
import { checkPayload } from '../payload.ts';
import type { JobCounts, Producer, QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

const TIMEOUT_MS = 2_000;
/** Jobs that were sent and not acknowledged, at most: a Redis that hangs must not fill our memory. */
const UNANSWERED_MAX = 10_000;
/** Events that nobody reads. */
const EVENTS_MAX = 100;

/** The side that raises intents. Connects in the background and reconnects for ever. */
export function createProducer<T>(
  queue: JobQueue<T>,
  connection: RedisSettings,
  reports: QueueReports = {},
): Producer<T> {
  const link = new RedisLink(connection, { patient: true, purpose: `enqueue ${queue.queue}` }, reports);
  const bull = new Queue(queue.queue, {
    connection: link.client,
    prefix: queue.prefix,
    streams: { events: { maxLen: EVENTS_MAX } },
  });
  // The link tells of connections; BullMQ repeats it here.
  bull.on('error', () => undefined);
  let unanswered = 0;

  const ask = async <R>(
    timeoutMs: number,
    call: () => Promise<R>,
  ): Promise<{ late: true } | { late: false; value: R }> => {
    const startedMs = performance.now();
    if (unanswered >= UNANSWERED_MAX || !(await link.readyWithin(timeoutMs))) return { late: true };
    unanswered += 1;
    const answer = call().finally(() => (unanswered -= 1));
    return within(answer, timeoutMs - (performance.now() - startedMs));
  };

  return {
    async enqueue(payload, { delayMs = 0, timeoutMs = TIMEOUT_MS } = {}) {
      const data = checkPayload(queue, payload);
      const options = {
        deduplication: { id: queue.dedupId(data), keepLastIfActive: true },
        attempts: 1,
        removeOnComplete: true,
        removeOnFail: true,
        delay: delayMs,
      };
      const answer = await ask(timeoutMs, () => bull.add(queue.queue, data, options)).catch((error: unknown) => {
        reports.log?.warn('job not enqueued', { queue: queue.queue, error });
        return { late: true } as const;
      });
      if (answer.late) reports.missed?.('enqueue');
      return !answer.late;
    },

    async counts({ timeoutMs = TIMEOUT_MS } = {}): Promise<JobCounts> {
      const answer = await ask(timeoutMs, () => bull.getJobCounts('wait', 'active', 'delayed')).catch(
        (cause: unknown) => {
          throw unavailable(cause);
        },
      );
      if (answer.late) {
        reports.missed?.('counts');
        throw unavailable();
      }
      const { wait = 0, active = 0, delayed = 0 } = answer.value;
      return { waiting: wait, active, delayed };
    },

    onReturn: (listener) => link.onReturn(listener),

    async close() {
      await within(bull.close(), 500).catch(() => undefined);
      link.close();
    },
  };
}

function unavailable(cause?: unknown): QueueError {
  return new QueueError('unavailable', 'Redis does not answer', cause === undefined ? undefined : { cause });
}
