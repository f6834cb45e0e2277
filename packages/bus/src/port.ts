import type { DurableStream, RequestSubject, StateBucket, Subject } from '@kuik/contracts';

/** What the bus needs of a logger; the one of @kuik/runtime fits. */
export interface BusLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** What became of a message: label `fate` of `kuik_bus_messages_total`. */
export type Fate =
  | 'published'
  | 'dropped'
  | 'received'
  | 'invalid'
  | 'failed'
  | 'answered'
  | 'acknowledged'
  | 'retried'
  | 'dead'
  | 'denied';

/** Where a bus reports to; all optional. */
export interface BusReports {
  readonly log?: BusLog;
  readonly count?: (subject: string, fate: Fate) => void;
}

/** A message that must be acknowledged: `ack` when done, `retry` to see it again later, `refuse` to send it to the dead letters. */
export interface Delivery<T> {
  readonly payload: T;
  readonly subject: string;
  /** How often it was delivered, this time included; starts at 1. */
  readonly attempt: number;
}

/** What a consumer decided about one delivery; a thrown error is `retry` with the error's message. */
export type Verdict =
  { do: 'ack' } | { do: 'retry'; afterMs: number; reason: string } | { do: 'refuse'; reason: string };

/** One entry of a key-value bucket. `revision` is what compare-and-set compares. */
export interface Entry<T> {
  readonly key: string;
  readonly value: T;
  readonly revision: number;
}

/** Whoever gets this can stop what was started; idempotent. */
export interface Stoppable {
  stop(): Promise<void>;
}

export type BusStatus = 'connected' | 'reconnecting' | 'closed';

/**
 * What services need of NATS. Payloads are validated with the subject's schema on both ends: a publisher's mistake throws,
 * a received message that does not fit is counted, logged once per subject, and dropped (core) or sent to the dead letters (durable).
 * The connection is retried for ever; `publish` never throws because NATS is away: it drops the hint and counts it.
 */
export interface Bus {
  /** Best effort, never blocks, never throws for a missing connection. */
  publish<T>(subject: Subject<T>, payload: T): void;
  /** Subscribes to a core subject. With `queue`, one member of the group gets each message. */
  subscribe<T>(
    subject: Subject<T>,
    onMessage: (payload: T) => void | Promise<void>,
    options?: { queue?: string },
  ): Stoppable;
  /** Request/reply on a core subject. Throws BusError `timeout`, `no-responders`, `disconnected` or `invalid-reply`. */
  request<Q, R>(subject: RequestSubject<Q, R>, payload: Q, options: { timeoutMs: number }): Promise<R>;
  /** Answers requests. Return undefined to stay silent (a follower that leaves the answer to its leader). */
  respond<Q, R>(
    subject: RequestSubject<Q, R>,
    answer: (payload: Q) => Promise<R | undefined>,
    options?: { queue?: string },
  ): Stoppable;
  /** Publishes to a durable stream and waits for the server's acknowledgement. */
  publishDurable<T>(
    stream: DurableStream<T>,
    payload: T,
    options?: { dedupId?: string; timeoutMs?: number },
  ): Promise<void>;
  /** Consumes a durable stream with explicit acknowledgement; after `maxDeliver` deliveries the message goes to the dead letters. */
  consume<T>(
    stream: DurableStream<T>,
    durable: string,
    onMessage: (delivery: Delivery<T>) => Promise<Verdict>,
  ): Stoppable;
  /**
   * The key-value bucket. With `create` (only its owner may) it is made when missing, also when the server lost it later;
   * `onCreated` is called when it is first seen and each time it was made anew, by whomever: the owner's leader then fills it.
   */
  bucket<T>(bucket: StateBucket<T>, options?: { create?: boolean; onCreated?: () => void }): Bucket<T>;
  status(): BusStatus;
  onStatus(listener: (status: BusStatus) => void): Stoppable;
  /** Drains subscriptions, then closes. Idempotent. */
  close(): Promise<void>;
}

export interface Bucket<T> {
  /** The current entry or undefined. Throws BusError when NATS cannot answer within `timeoutMs` (default 2 s). */
  get(key: string, options?: { timeoutMs?: number }): Promise<Entry<T> | undefined>;
  /** Writes when the stored revision is `expected` (0 = key must not exist); returns the new revision or undefined when somebody was faster. */
  compareAndSet(key: string, value: T, expected: number): Promise<number | undefined>;
  /** Unconditional write; returns the revision. */
  put(key: string, value: T): Promise<number>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
  /**
   * Follows keys by a plain core subscription on each key's subject. A message is only a hint: the key is read again, and the
   * listener is called with what was read (undefined = gone). Every followed key is read again after a reconnect.
   */
  follow(onChange: (key: string, entry: Entry<T> | undefined) => void): KeyFollower;
}

export interface KeyFollower extends Stoppable {
  /** Starts following; reads the key once. Idempotent. */
  add(key: string): void;
  remove(key: string): void;
}
