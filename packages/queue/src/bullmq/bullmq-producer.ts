import type { JobQueue } from '@kuik/contracts';
import { Queue } from 'bullmq';
import { within } from '../deadline.ts';
import { checkPayload } from '../payload.ts';
import type { JobCounts, Producer, QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';
import type { RedisLink } from '../redis/redis-link.ts';

const TIMEOUT_MS = 2000;

/** The producing end of a queue over BullMQ. */
export class BullProducer<T> implements Producer<T> {
  readonly #link: RedisLink;
  readonly #contract: JobQueue<T>;
  readonly #reports: QueueReports;
  readonly #queue: Queue;

  constructor(link: RedisLink, contract: JobQueue<T>, reports: QueueReports) {
    this.#link = link;
    this.#contract = contract;
    this.#reports = reports;
    this.#queue = new Queue(contract.queue, {
      connection: link.shared,
      prefix: contract.prefix,
      streams: { events: { maxLen: 1000 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    // The link tells when Redis is away.
    this.#queue.on('error', () => undefined);
  }

  async enqueue(
    payload: T,
    { delayMs = 0, timeoutMs = TIMEOUT_MS }: { delayMs?: number; timeoutMs?: number } = {},
  ): Promise<boolean> {
    const checked = checkPayload(this.#contract, payload);
    const end = performance.now() + timeoutMs;
    // BullMQ's add() would wait for ever for a first connection, and be carried out long after it was given up.
    const added =
      (await this.#link.whenReady(timeoutMs)) &&
      (await within(
        Math.max(1, end - performance.now()),
        this.#add(checked, delayMs).then(
          () => true,
          () => false,
        ),
        () => false,
      ));
    if (!added) this.#reports.onFailOpen?.('enqueue');
    return added;
  }

  async counts(): Promise<JobCounts> {
    const away = (cause?: unknown): never => {
      throw new QueueError('redis-away', 'cannot count jobs: Redis does not answer', { cause });
    };
    if (!this.#link.ready()) return away();
    const counting = this.#queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
    const counts = await within(TIMEOUT_MS, counting.catch(away), away);
    return {
      waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0),
      active: counts['active'] ?? 0,
      delayed: counts['delayed'] ?? 0,
      failed: counts['failed'] ?? 0,
    };
  }

  /** Ends the queue's side; the link is its owner's to close. */
  async close(): Promise<void> {
    await within(TIMEOUT_MS, this.#queue.close(), () => undefined).catch(() => undefined);
  }

  async #add(payload: T, delay: number): Promise<void> {
    // `keepLastIfActive`: an intent raised while the job is active would be lost otherwise.
    const deduplication = { id: this.#contract.dedupId(payload), keepLastIfActive: true };
    await this.#queue.add(this.#contract.queue, payload, { deduplication, ...(delay > 0 ? { delay } : {}) });
  }
}
