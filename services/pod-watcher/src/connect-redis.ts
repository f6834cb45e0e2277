import { COPY_QUEUE, type CopyJob } from '@kuik/contracts';
import { createProducer, createTimeStore, type Producer } from '@kuik/queue';
import type { Logger } from '@kuik/runtime';
import type { PodWatcherConfig } from './config.ts';
import type { PullTimes } from './served-pulls.ts';

/** What of Redis is used: the queue's producing end, and exact pull times. */
export interface RedisParts {
  readonly producer: Pick<Producer<CopyJob>, 'enqueue' | 'onReturn'>;
  readonly times: PullTimes;
  close(): Promise<void>;
}

/** Connects in the background and reconnects for ever. */
export function connectRedis(redis: PodWatcherConfig['redis'], log: Logger): RedisParts {
  const producer = createProducer(COPY_QUEUE, redis, { log });
  const times = createTimeStore(redis, { log });
  return {
    producer,
    times,
    close: async () => {
      await producer.close();
      await times.close();
    },
  };
}
