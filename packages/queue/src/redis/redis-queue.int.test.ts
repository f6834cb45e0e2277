import { startRedis } from '@kuik/testbed';
import { queueConformance } from '../queue.conformance.ts';
import { createBlobTurns, redisTurnStore } from './blob-turns.ts';
import { createPacer } from './pacer.ts';
import { createProducer } from './producer.ts';
import { createReadOnce } from './read-once.ts';
import { createTimeStore } from './time-store.ts';
import { createTransferLeases } from './transfer-leases.ts';
import { createWorker } from './worker.ts';

queueConformance('queue over Redis', async () => {
  const redis = await startRedis();
  const connection = { url: redis.url('image-copier') };
  return {
    createProducer: (queue, reports) => createProducer(queue, { url: redis.url('pod-watcher') }, reports),
    createWorker: (queue, work, options) =>
      createWorker(queue, connection, work, { lockMs: 2_000, stallCheckMs: 1_000, ...options }),
    createPacer: (options) => createPacer(connection, options),
    createTimeStore: (reports) => createTimeStore(connection, reports),
    createReadOnce: (reports) => createReadOnce(connection, reports),
    createBlobTurns: (options) => createBlobTurns(connection, { lockMs: 2_000, ...options }),
    createTurnStore: () => redisTurnStore(connection, { lockMs: 60_000 }),
    createTransferLeases: (options) => createTransferLeases(connection, options),
    goAway: () => redis.kill(),
    comeBack: () => redis.restart(),
    stop: () => redis.stop(),
  };
});
