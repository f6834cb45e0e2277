import type { JobQueue } from '@kuik/contracts';

export interface Job<T> {
  readonly id: string;
  readonly payload: T;
  /** Aborted when the worker drains past its deadline, or the job's lock is lost. */
  readonly signal: AbortSignal;
  progress(progress: { bytesDone: number; bytesTotal: number; step: string }): Promise<void>;
}

/** What became of a job. `park` puts it back after `afterMs` without spending an attempt. */
export type Outcome = { do: 'done' } | { do: 'park'; afterMs: number; reason: string } | { do: 'fail'; reason: string };

export interface JobCounts {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

/** The side that raises intents (pod-watcher). */
export interface Producer<T> {
  /**
   * Adds the job unless one with the same deduplication id is waiting; one raised while the job is active runs after it.
   * Bounded by `timeoutMs` (default 2 s): returns false when Redis is away, never hangs.
   */
  enqueue(payload: T, options?: { delayMs?: number; timeoutMs?: number }): Promise<boolean>;
  counts(): Promise<JobCounts>;
  close(): Promise<void>;
}

/** The side that works. */
export interface Worker {
  /** Stops taking jobs, lets running ones finish until `deadlineMs`, aborts the rest (another worker takes them over). */
  close(deadlineMs: number): Promise<void>;
  active(): number;
  ready(): boolean;
}

export interface WorkerOptions {
  concurrency: number;
  /** How long a worker may be silent before another takes its job. Defaults of the contracts: lock 10 s, stall check 5 s. */
  lockMs: number;
  stallCheckMs: number;
  /** The key by which jobs share a pace (a registry host). No key may hold more than half of the slots. */
  paceKey(payload: unknown): string;
}

/** A token bucket per host in Redis, shared by everybody who talks to that host. */
export interface Pacer {
  /** Takes one token. 0 = go; otherwise how many ms to wait before asking again. When Redis is away: 0 (fail open) and a metric. */
  take(host: string): Promise<number>;
  /** Nobody may call this host before `untilMs` (epoch ms). Keeps the later of two. */
  park(host: string, untilMs: number, reason: string): Promise<void>;
  parkedUntil(host: string): Promise<number | undefined>;
}

/** Marks contract use in signatures: the queue a producer or worker was made for. */
export type QueueOf<T> = JobQueue<T>;
