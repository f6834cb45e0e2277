import type { z } from 'zod';

/** Every process that has an identity of its own on NATS, Redis, the API server and the cache registry. */
export const SERVICES = ['webhook', 'pod-watcher', 'image-copier', 'monitor', 'gc', 'node-proxy'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** A core NATS subject: best effort, no acknowledgement. */
export interface Subject<T> {
  readonly kind: 'core';
  readonly subject: string;
  readonly schema: z.ZodType<T>;
  readonly publishers: readonly ServiceName[];
  readonly subscribers: readonly ServiceName[];
  /** Largest payload in bytes that a publisher may send. */
  readonly maxBytes: number;
}

/** Request/reply on a core subject. */
export interface RequestSubject<Q, R> {
  readonly kind: 'request';
  readonly subject: string;
  readonly request: z.ZodType<Q>;
  readonly reply: z.ZodType<R>;
  readonly requesters: readonly ServiceName[];
  readonly responders: readonly ServiceName[];
  readonly maxBytes: number;
}

/** A JetStream stream with one subject; what its consumers refuse goes to `deadLetters`. */
export interface DurableStream<T> {
  readonly kind: 'durable';
  readonly stream: string;
  readonly subject: string;
  readonly deadLetters: string;
  readonly schema: z.ZodType<T>;
  readonly publishers: readonly ServiceName[];
  readonly consumers: readonly ServiceName[];
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly streamMaxBytes: number;
  /** How long the server waits for an acknowledgement before it delivers again. */
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
}

/** A JetStream key-value bucket with last-value semantics. */
export interface StateBucket<T> {
  readonly kind: 'bucket';
  readonly bucket: string;
  readonly schema: z.ZodType<T>;
  /** Creates the bucket; also the only one whose unconditional writes are meant. */
  readonly owner: ServiceName;
  readonly writers: readonly ServiceName[];
  readonly readers: readonly ServiceName[];
  readonly maxValueBytes: number;
  readonly bucketMaxBytes: number;
}

/** A BullMQ queue. `dedupId` may hold no `:`. */
export interface JobQueue<T> {
  readonly kind: 'queue';
  readonly queue: string;
  /** Redis key prefix. */
  readonly prefix: string;
  readonly schema: z.ZodType<T>;
  readonly producers: readonly ServiceName[];
  readonly workers: readonly ServiceName[];
  dedupId(payload: T): string;
  /** Jobs that share this key share a pace (registry host). */
  paceKey(payload: T): string;
  readonly lockMs: number;
  readonly stallCheckMs: number;
}
