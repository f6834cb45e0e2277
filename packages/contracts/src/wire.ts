import type { z } from 'zod';

// What crosses a process, in its kinds. Which service is at which end, each service's own folder says (service-declaration.ts).

/** A core NATS subject: best effort, no acknowledgement. */
export interface Subject<T> {
  readonly kind: 'core';
  readonly subject: string;
  readonly schema: z.ZodType<T>;
  /** Largest payload in bytes that a publisher may send. */
  readonly maxBytes: number;
}

/** Request/reply on a core subject. */
export interface RequestSubject<Q, R> {
  readonly kind: 'request';
  readonly subject: string;
  readonly request: z.ZodType<Q>;
  readonly reply: z.ZodType<R>;
  readonly maxBytes: number;
}

/** A JetStream stream with one subject; what its consumers refuse goes to `deadLetters`. */
export interface DurableStream<T> {
  readonly kind: 'durable';
  readonly stream: string;
  readonly subject: string;
  readonly deadLetters: string;
  readonly schema: z.ZodType<T>;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly streamMaxBytes: number;
  /** How long a message is known again by its dedup id. */
  readonly dedupMs: number;
  /** How long the server waits for an acknowledgement before it delivers again. */
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
}

/** A JetStream key-value bucket with last-value semantics. */
export interface StateBucket<T> {
  readonly kind: 'bucket';
  readonly bucket: string;
  readonly schema: z.ZodType<T>;
  readonly maxValueBytes: number;
  readonly bucketMaxBytes: number;
  /**
   * Its readers may look up keys that they can name, and nothing else: they neither list nor follow. What is read may be older by moments where
   * NATS is a cluster.
   */
  readonly lookedUp?: true;
}

/** A BullMQ queue. `dedupId` may hold no `:`. */
export interface JobQueue<T> {
  readonly kind: 'queue';
  readonly queue: string;
  /** Redis key prefix. */
  readonly prefix: string;
  readonly schema: z.ZodType<T>;
  dedupId(payload: T): string;
  /** Jobs that share this key share a pace (registry host). */
  paceKey(payload: T): string;
  readonly lockMs: number;
  readonly stallCheckMs: number;
}
