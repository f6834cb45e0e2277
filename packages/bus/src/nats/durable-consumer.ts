import { deadLetterStream } from '@kuik/contracts';
import type { DurableStream } from '@kuik/contracts';
import { AckPolicy, DeliverPolicy, headers, nanos } from 'nats';
import type { Consumer, JsMsg, NatsConnection } from 'nats';
import { decode } from '../codec.ts';
import { backoff, pause } from '../pause.ts';
import type { Delivery, Stoppable, Verdict } from '../port.ts';
import type { Reports } from '../reports.ts';
import { settle } from '../settle.ts';
import { jetStreamCode, JS } from './failure.ts';
import type { Link } from './link.ts';
import type { OwnedStreams } from './owned-streams.ts';

/** How long one pull waits for a message. */
const PULL_MS = 1000;
/** Pulls in a row without a message after which the consumer is looked up again: a wiped server answers pulls with silence. */
const LOOK_AGAIN = 10;

/** Takes one message at a time from a durable consumer, and does to it what the verdict says. */
export class DurableConsumer<T> implements Stoppable {
  readonly #link: Link;
  readonly #streams: OwnedStreams;
  readonly #reports: Reports;
  readonly #stream: DurableStream<T>;
  readonly #durable: string;
  readonly #onMessage: (delivery: Delivery<T>) => Promise<Verdict>;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    parts: { link: Link; streams: OwnedStreams; reports: Reports },
    stream: DurableStream<T>,
    durable: string,
    onMessage: (delivery: Delivery<T>) => Promise<Verdict>,
  ) {
    this.#link = parts.link;
    this.#streams = parts.streams;
    this.#reports = parts.reports;
    this.#stream = stream;
    this.#durable = durable;
    this.#onMessage = onMessage;
    this.#running = this.#run();
  }

  /** Finishes the message in hand. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted;) {
      const connection = this.#link.connection();
      try {
        if (connection !== undefined) await this.#consume(connection, () => (failures = 0));
        else failures = Math.max(1, failures);
      } catch (error) {
        failures += 1;
        if (failures === 3)
          this.#reports.log?.warn('NATS consumer cannot work', { stream: this.#stream.stream, error });
      }
      if (failures > 0) await pause(backoff(failures, 100, 5000), signal);
    }
  }

  /** Pulls until stopped, disconnected, or nothing came for a while. */
  async #consume(connection: NatsConnection, onPull: () => void): Promise<void> {
    await this.#streams.ensure(this.#stream.stream);
    await this.#streams.ensure(deadLetterStream(this.#stream));
    const consumer = await this.#consumer(connection);
    for (
      let silent = 0;
      silent < LOOK_AGAIN && !this.#ending.signal.aborted && this.#link.connection() === connection;
    ) {
      const started = performance.now();
      const message = await this.#next(consumer);
      if (message === undefined) return;
      if (message !== null) {
        silent = 0;
        onPull();
        await this.#handle(connection, message);
      } else if (performance.now() - started < PULL_MS / 2) {
        throw new Error('the server ended a pull early');
      } else {
        silent += 1;
        onPull();
      }
    }
  }

  /** Null when none came in time; undefined when stopped: what still comes by that pull goes back at once, to whoever consumes next. */
  async #next(consumer: Consumer): Promise<JsMsg | null | undefined> {
    const { signal } = this.#ending;
    const pulled = consumer.next({ expires: PULL_MS });
    // One for each pull: a promise that outlives the race keeps what the race gave.
    const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
    const stop = (): void => resolve(undefined);
    signal.addEventListener('abort', stop);
    try {
      const message = await Promise.race([pulled, stopped]);
      // The connection may be closed by then.
      if (message === undefined) pulled.then((late) => late?.nak()).catch(() => undefined);
      return message;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #consumer(connection: NatsConnection): Promise<Consumer> {
    const js = connection.jetstream({ timeout: 3000 });
    const { stream, ackWaitMs, subject } = this.#stream;
    try {
      return await js.consumers.get(stream, this.#durable);
    } catch (error) {
      if (jetStreamCode(error) !== JS.consumerNotFound) throw error;
    }
    const manager = await connection.jetstreamManager({ checkAPI: false, timeout: 3000 });
    await manager.consumers.add(stream, {
      durable_name: this.#durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      filter_subject: subject,
      ack_wait: nanos(ackWaitMs),
      // The last delivery is ours to count: the server would only fall silent after it.
      max_deliver: -1,
    });
    return js.consumers.get(stream, this.#durable);
  }

  async #handle(connection: NatsConnection, message: JsMsg): Promise<void> {
    const { subject, schema, maxBytes, maxDeliver, ackWaitMs } = this.#stream;
    const attempt = message.info.deliveryCount;
    const working = setInterval(() => message.working(), ackWaitMs / 3);
    try {
      const decoded = decode(schema, message.data, maxBytes);
      const end = await settle({
        subject,
        attempt,
        maxDeliver,
        decoded,
        onMessage: this.#onMessage,
        reports: this.#reports,
      });
      if (end.do === 'ack') message.ack();
      else if (end.do === 'retry') message.nak(end.afterMs);
      else {
        await this.#bury(connection, message, end.reason, attempt);
        message.term(end.reason);
      }
    } catch (error) {
      // Not even buried: the server delivers it again after the acknowledgement's time.
      this.#reports.trouble(subject, 'failed', 'message could not be settled', { error });
    } finally {
      clearInterval(working);
    }
  }

  async #bury(connection: NatsConnection, message: JsMsg, reason: string, attempt: number): Promise<void> {
    const about = headers();
    about.set('Kuik-Reason', reason.replaceAll(/[\r\n]+/g, ' ').slice(0, 1024));
    about.set('Kuik-Attempts', String(attempt));
    await connection
      .jetstream({ timeout: 3000 })
      .publish(this.#stream.deadLetters, message.data, { headers: about, timeout: 3000 });
  }
}
