import type { DurableStream, RequestSubject, StateBucket, Subject } from '@kuik/contracts';
import type { Bucket, Bus, BusReports, BusStatus, Delivery, Stoppable, Verdict } from '../port.ts';
import { Reports } from '../reports.ts';
import { CoreMessages } from './core-messages.ts';
import { DurableConsumer } from './durable-consumer.ts';
import { publishDurable, wantedDeadLetters, wantedStream } from './durable-streams.ts';
import { Link } from './link.ts';
import type { LinkOptions } from './link.ts';
import { bucketStream, NatsBucket } from './nats-bucket.ts';
import { OwnedStreams } from './owned-streams.ts';

export interface ConnectOptions extends LinkOptions, BusReports {}

/** A bus over NATS. Returns at once: the connection is made, and kept, in the background. */
export function connectBus(options: ConnectOptions): Bus {
  return new NatsBus(options);
}

class NatsBus implements Bus {
  readonly #reports: Reports;
  readonly #link: Link;
  readonly #core: CoreMessages;
  readonly #streams: OwnedStreams;
  /** Consumers and followers: they end before the connection does. */
  readonly #running = new Set<Stoppable>();

  constructor(options: ConnectOptions) {
    this.#reports = new Reports(options);
    this.#link = new Link(options, this.#reports);
    this.#core = new CoreMessages(this.#link, this.#reports);
    this.#streams = new OwnedStreams(this.#link, this.#reports);
  }

  publish<T>(subject: Subject<T>, payload: T): void {
    this.#core.publish(subject, payload);
  }

  subscribe<T>(
    subject: Subject<T>,
    onMessage: (payload: T) => void | Promise<void>,
    options: { queue?: string } = {},
  ): Stoppable {
    return this.#core.subscribe(subject, onMessage, options.queue);
  }

  request<Q, R>(subject: RequestSubject<Q, R>, payload: Q, options: { timeoutMs: number }): Promise<R> {
    return this.#core.request(subject, payload, options.timeoutMs);
  }

  respond<Q, R>(
    subject: RequestSubject<Q, R>,
    answer: (payload: Q) => Promise<R | undefined>,
    options: { queue?: string } = {},
  ): Stoppable {
    return this.#core.respond(subject, answer, options.queue);
  }

  publishDurable<T>(
    stream: DurableStream<T>,
    payload: T,
    options: { dedupId?: string; timeoutMs?: number } = {},
  ): Promise<void> {
    return publishDurable(this.#link, this.#reports, stream, payload, options);
  }

  consume<T>(
    stream: DurableStream<T>,
    durable: string,
    onMessage: (delivery: Delivery<T>) => Promise<Verdict>,
  ): Stoppable {
    this.#streams.own(wantedStream(stream));
    this.#streams.own(wantedDeadLetters(stream));
    const parts = { link: this.#link, streams: this.#streams, reports: this.#reports };
    const consumer = new DurableConsumer(parts, stream, durable, onMessage);
    this.#running.add(consumer);
    return consumer;
  }

  bucket<T>(bucket: StateBucket<T>, options: { create?: boolean; onCreated?: () => void } = {}): Bucket<T> {
    if (options.create) this.#streams.own(bucketStream(bucket), options.onCreated);
    const streams = options.create ? this.#streams : undefined;
    const parts = {
      link: this.#link,
      reports: this.#reports,
      streams,
      onFollow: (follower: Stoppable) => this.#running.add(follower),
    };
    return new NatsBucket(parts, bucket);
  }

  status(): BusStatus {
    return this.#link.status();
  }

  onStatus(listener: (status: BusStatus) => void): Stoppable {
    return this.#link.onStatus(listener);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()));
    await this.#streams.close();
    await this.#link.close();
  }
}
