import type { JobQueue } from '@kuik/contracts';
import { BullProducer } from './bullmq/bullmq-producer.ts';
import { BullQueueWorker } from './bullmq/bullmq-worker.ts';
import type { Job, Outcome, Pace, Pacer, Producer, QueueReports, TimeStore, Worker, WorkerOptions } from './port.ts';
import { RedisLink } from './redis/redis-link.ts';
import type { RedisLinkOptions } from './redis/redis-link.ts';
import { RedisPacer } from './redis/redis-pacer.ts';
import { RedisTimeStore } from './redis/redis-time-store.ts';

/** Everything that lives in one Redis. Each method is cheap; nothing waits for a connection. */
export interface Queues {
  producer<T>(queue: JobQueue<T>): Producer<T>;
  /** Starts working at once. Close it before this. */
  work<T>(queue: JobQueue<T>, options: WorkerOptions, handle: (job: Job<T>) => Promise<Outcome>): Worker;
  pacer(paceOf: (host: string) => Pace): Pacer;
  /** `check`, `pull`: a kind of its own per fact. */
  times(kind: string): TimeStore;
  /** Whether Redis answers. */
  ready(): boolean;
  /** Ends producers and connections. Idempotent. */
  close(): Promise<void>;
}

export interface ConnectQueuesOptions extends RedisLinkOptions, QueueReports {}

/** Queues over Redis and BullMQ. Returns at once: connections are made, and kept, in the background. */
export function connectQueues(options: ConnectQueuesOptions): Queues {
  const link = new RedisLink(options);
  const producers = new Set<Producer<never>>();
  return {
    producer(queue) {
      const producer = new BullProducer(link, queue, options);
      producers.add(producer);
      return producer;
    },
    work: (queue, workerOptions, handle) => new BullQueueWorker(link, queue, handle, workerOptions, options),
    pacer: (paceOf) => new RedisPacer(link, { paceOf, reports: options }),
    times: (kind) => new RedisTimeStore(link, kind),
    ready: () => link.ready(),
    async close() {
      await Promise.all([...producers].map((producer) => producer.close()));
      await link.close();
    },
  };
}
