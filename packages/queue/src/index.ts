export type {
  Job,
  JobCounts,
  JobEnd,
  Outcome,
  Pace,
  Pacer,
  Producer,
  QueueLog,
  QueueReports,
  TimeStore,
  Worker,
  WorkerOptions,
} from './port.ts';
export { connectQueues } from './connect-queues.ts';
export type { ConnectQueuesOptions, Queues } from './connect-queues.ts';
export { QueueError } from './queue-error.ts';
export type { QueueErrorCode } from './queue-error.ts';
