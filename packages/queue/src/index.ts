export type { Job, JobCounts, Outcome, Pacer, Producer, QueueOf, Worker, WorkerOptions } from './port.ts';
