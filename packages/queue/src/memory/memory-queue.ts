import type { JobQueue } from '@kuik/contracts';
import { checkPayload } from '../payload.ts';
import type { TurnStore } from '../blob-turns.ts';
import type {
  BlobTurns,
  BlobTurnsOptions,
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
import { QueueError } from '../queue-error.ts';
import { MemoryJobs } from './memory-jobs.ts';
import { MemoryLeases } from './memory-leases.ts';
import { MemoryOnce } from './memory-once.ts';
import { MemoryPaces } from './memory-paces.ts';
import { MemoryTurns } from './memory-turns.ts';
import { MemoryWorker } from './memory-worker.ts';

/** One process that plays Redis: everything made by it shares its jobs, paces, times, turns and leases. Only leases run out: nobody else dies here. */
export interface MemoryQueue {
  createProducer<T>(queue: JobQueue<T>, reports?: QueueReports): Producer<T>;
  createWorker<T>(queue: JobQueue<T>, work: Work<T>, options: WorkerOptions & QueueReports): Worker;
  createPacer(options?: PacerOptions & QueueReports): Pacer;
  createTimeStore(reports?: QueueReports): TimeStore;
  createBlobTurns(options?: BlobTurnsOptions & QueueReports): BlobTurns;
  createReadOnce(reports?: QueueReports): ReadOnce;
  /** What `createBlobTurns` is made over. */
  createTurnStore(reports?: QueueReports): TurnStore;
  createTransferLeases(options?: TransferLeasesOptions & QueueReports): TransferLeases;
  /** As if Redis went away (true) or came back; what was in it stays. */
  setAway(away: boolean): void;
}

/** An empty one. `now`: epoch ms, for paces, parks and leases. */
export function memoryQueue({ now = Date.now }: { now?: () => number } = {}): MemoryQueue {
  const queues = new Map<string, MemoryJobs>();
  const paces = new MemoryPaces(now);
  const turns = new MemoryTurns();
  const leases = new MemoryLeases(now);
  const onces = new MemoryOnce();
  const times = new Map<string, Map<string, number>>();
  let away = false;

  const jobsOf = (queue: string): MemoryJobs => {
    const jobs = queues.get(queue) ?? new MemoryJobs();
    queues.set(queue, jobs);
    jobs.setAway(away);
    return jobs;
  };
  const returned = new Set<() => void>();
  const unavailable = (): QueueError => new QueueError('unavailable', 'Redis does not answer');

  return {
    createProducer<T>(queue: JobQueue<T>, reports: QueueReports = {}): Producer<T> {
      const jobs = jobsOf(queue.queue);
      let closed = false;
      return {
        async enqueue(payload, { delayMs = 0 } = {}) {
          await Promise.resolve();
          const data = checkPayload(queue, payload);
          if (away || closed) {
            reports.missed?.('enqueue');
            return false;
          }
          jobs.add(queue.dedupId(data), data, delayMs);
          return true;
        },
        async counts() {
          await Promise.resolve();
          if (!away && !closed) return jobs.counts();
          reports.missed?.('counts');
          throw unavailable();
        },
        onReturn: (listener) => void returned.add(listener),
        async close() {
          await Promise.resolve();
          closed = true;
        },
      };
    },

    createWorker: <T>(queue: JobQueue<T>, work: Work<T>, options: WorkerOptions & QueueReports): Worker =>
      new MemoryWorker(queue, jobsOf(queue.queue), work, options),

    createPacer: (options = {}) => paces.pacer(options, () => away),
    createReadOnce: (options = {}) => onces.once(options, () => away),
    createBlobTurns: (options = {}) => turns.turns(options, () => away),
    createTurnStore: (reports = {}) => turns.store(reports, () => away),
    createTransferLeases: (options = {}) => leases.leases(options, () => away),

    createTimeStore(reports = {}) {
      let closed = false;
      const hash = async (kind: string): Promise<Map<string, number>> => {
        await Promise.resolve();
        if (away || closed) {
          reports.missed?.('times');
          throw unavailable();
        }
        const known = times.get(kind) ?? new Map<string, number>();
        times.set(kind, known);
        return known;
      };
      return {
        async get(kind, ids) {
          const known = await hash(kind);
          return ids.map((id) => known.get(id));
        },
        async set(kind, entries) {
          const known = await hash(kind);
          for (const [id, atMs] of entries) known.set(id, atMs);
        },
        async forget(kind, ids) {
          const known = await hash(kind);
          for (const id of ids) known.delete(id);
        },
        async close() {
          await Promise.resolve();
          closed = true;
        },
      };
    },

    setAway(value) {
      const isBack = away && !value;
      away = value;
      for (const jobs of queues.values()) jobs.setAway(value);
      if (isBack) for (const listener of returned) listener();
    },
  };
}
