export type {
  BlobTurns,
  BlobTurnsOptions,
  FloorOptions,
  Job,
  JobCounts,
  JobEnd,
  JobProgress,
  KnownQuota,
  LeaseClaim,
  LeftSpool,
  Missed,
  OnceBytes,
  Outcome,
  Pace,
  Pacer,
  PacerOptions,
  Payer,
  PayerFacts,
  Producer,
  QueueLog,
  QueueOf,
  QueueReports,
  QuotaWord,
  ReadOnce,
  TimeStore,
  TransferLeases,
  TransferLeasesOptions,
  TransferOwnerName,
  TurnHolders,
  Work,
  Worker,
  WorkerOptions,
} from './port.ts';
export { resetAtOf, scarcest } from './host-quota.ts';
export { asksForTime } from './park-length.ts';
export { QueueError } from './queue-error.ts';
export type { QueueErrorCode } from './queue-error.ts';
export type { RedisSettings } from './redis/connection.ts';
export { createBlobTurns } from './redis/blob-turns.ts';
export { payerKey } from './pace.ts';
export { createPacer } from './redis/pacer.ts';
export { createProducer } from './redis/producer.ts';
export { createReadOnce } from './redis/read-once.ts';
export { createTimeStore } from './redis/time-store.ts';
export { createTransferLeases } from './redis/transfer-leases.ts';
export { createWorker } from './redis/worker.ts';
