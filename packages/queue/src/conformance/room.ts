import { COPY_QUEUE } from '@kuik/contracts';
import type { CopyJob, JobQueue } from '@kuik/contracts';
import { until } from '@kuik/testbed';
import type { TurnStore } from '../blob-turns.ts';
import type {
  BlobTurns,
  BlobTurnsOptions,
  Job,
  JobEnd,
  Missed,
  Outcome,
  Pacer,
  PacerOptions,
  Producer,
  QueueReports,
  ReadOnce,
  TimeStore,
  TransferLeases,
  TransferLeasesOptions,
  Work,
  Worker,
  WorkerOptions,
} from '../port.ts';

/** A place where the parts of a queue meet; made by the adapter's and by the twin's own test. */
export interface Bed {
  createProducer<T>(queue: JobQueue<T>, reports?: QueueReports): Producer<T>;
  createWorker<T>(queue: JobQueue<T>, work: Work<T>, options: WorkerOptions & QueueReports): Worker;
  createPacer(options?: PacerOptions & QueueReports): Pacer;
  createTimeStore(reports?: QueueReports): TimeStore;
  createReadOnce(reports?: QueueReports): ReadOnce;
  createBlobTurns(options?: BlobTurnsOptions & QueueReports): BlobTurns;
  /** What the turns are made over. */
  createTurnStore(): TurnStore;
  createTransferLeases(options?: TransferLeasesOptions & QueueReports): TransferLeases;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

export const DONE: Outcome = { do: 'done' };
export const copy = (uid: string, host = `${uid}.example`): CopyJob => ({
  name: `n-${uid}`,
  uid,
  reference: `${host}/app:1`,
  host,
  reason: 'NotCached',
});

let queues = 0;
/** A queue that no other test uses. */
export const freshQueue = (): JobQueue<CopyJob> => ({ ...COPY_QUEUE, queue: `copy-${process.pid}-${(queues += 1)}` });

/** Work that is recorded and ends when the test says so. */
export function gate() {
  const started: Job<CopyJob>[] = [];
  const waiting = new Map<string, (outcome: Outcome) => void>();
  const work: Work<CopyJob> = (job) => {
    started.push(job);
    return new Promise((resolve, reject) => {
      waiting.set(job.payload.uid, resolve);
      job.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  };
  return {
    work,
    started,
    uids: () => started.map(({ payload }) => payload.uid),
    end: (uid: string, outcome: Outcome = DONE) => waiting.get(uid)!(outcome),
    startedCount: (count: number) => until(() => started.length >= count, { what: `${count} jobs to start` }),
  };
}

/** One bed while a suite runs, and what each test opened on it. */
export class Room {
  bed!: Bed;
  readonly #open: (() => Promise<void>)[] = [];

  /** Closed after the test. */
  keep<C extends { close(): Promise<void> }>(opened: C): C {
    this.#open.push(() => opened.close());
    return opened;
  }

  async closeAll(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close();
  }

  /** A queue of its own with a producer, and workers as they are added. */
  world(work: Work<CopyJob>, options: Partial<WorkerOptions> = {}) {
    const queue = freshQueue();
    const ends: JobEnd[] = [];
    const missed: Missed[] = [];
    const producer = this.keep(this.bed.createProducer(queue, { missed: (what) => missed.push(what) }));
    const addWorker = (own: Work<CopyJob> = work): Worker => {
      const ended = (end: JobEnd): unknown => ends.push(end);
      const worker = this.bed.createWorker(queue, own, { concurrency: 4, ...options, ended });
      this.#open.push(() => worker.close(0));
      return worker;
    };
    const empty = () =>
      until(async () => Object.values(await producer.counts()).every((count) => count === 0), {
        what: 'the queue to be empty',
      });
    return { queue, producer, ends, missed, addWorker, empty };
  }
}
