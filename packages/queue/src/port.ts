/** What the queue needs of a logger; the one of @kuik/runtime fits. */
export interface QueueLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface Job<T> {
  readonly id: string;
  readonly payload: T;
  /** Aborted when the worker drains past its deadline, or the job's lock is lost. */
  readonly signal: AbortSignal;
  /** Never throws: a progress that cannot be told is not worth a copy. */
  progress(progress: { bytesDone: number; bytesTotal: number; step: string }): Promise<void>;
}

/** What became of a job. `park` puts it back after `afterMs` without spending an attempt. A thrown error is `fail`. */
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
   * Bounded by `timeoutMs` (default 2 s): returns false when Redis is away, never hangs. Throws only for a payload that does not fit.
   */
  enqueue(payload: T, options?: { delayMs?: number; timeoutMs?: number }): Promise<boolean>;
  /** Throws QueueError when Redis is away. */
  counts(): Promise<JobCounts>;
  close(): Promise<void>;
}

/** The side that works. */
export interface Worker {
  /** Stops taking jobs, lets running ones finish until `deadlineMs`, aborts the rest (another worker takes them over). Idempotent. */
  close(deadlineMs: number): Promise<void>;
  active(): number;
  ready(): boolean;
}

export interface WorkerOptions {
  /** How many jobs at once. Jobs that share a pace key get at most half of these slots (rounded up). */
  readonly concurrency: number;
  /** How long a worker may be silent before another takes its job. Default: the queue's (lock 10 s, stall check 5 s). */
  readonly lockMs?: number;
  readonly stallCheckMs?: number;
}

/** How a job left a worker. `paced`: put back because its host had its share of slots; `aborted`: given back; `lost`: another has it. */
export type JobEnd = 'done' | 'parked' | 'failed' | 'paced' | 'aborted' | 'lost' | 'invalid';

/** Where a producer, worker or pacer reports to; all optional. */
export interface QueueReports {
  readonly log?: QueueLog;
  /** A job left the worker; `ms` in its hands, `waitedMs` since it was raised. */
  readonly onJob?: (end: JobEnd, times: { ms: number; waitedMs: number }) => void;
  /** Redis was away and the answer was given without it. */
  readonly onFailOpen?: (what: 'take' | 'park' | 'enqueue') => void;
}

/** A token bucket per host in Redis, shared by everybody who talks to that host. */
export interface Pacer {
  /** Takes one token. 0 = go; otherwise how many ms to wait before asking again. When Redis is away: 0 (fail open) and a metric. */
  take(host: string): Promise<number>;
  /** Nobody may call this host before `untilMs` (epoch ms). Keeps the later of two. Also holds here while Redis is away. */
  park(host: string, untilMs: number, reason: string): Promise<void>;
  parkedUntil(host: string): Promise<number | undefined>;
}

/** A host's budget: at most `burst` calls at once, refilled at `perSecond`. */
export interface Pace {
  readonly burst: number;
  readonly perSecond: number;
}

/** Epoch times of many things of one kind (last check, last pull). Losing them costs nothing but a fresh look. */
export interface TimeStore {
  /** The known times of these ids. Throws QueueError when Redis is away. */
  get(ids: readonly string[]): Promise<Map<string, number>>;
  all(): Promise<Map<string, number>>;
  /** Keeps the later of two times. Throws QueueError when Redis is away. */
  record(times: ReadonlyMap<string, number>): Promise<void>;
  remove(ids: readonly string[]): Promise<void>;
}
