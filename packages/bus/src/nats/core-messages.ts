import type { RequestSubject, Subject } from '@kuik/contracts';
import type { Msg } from 'nats';
import { BusError } from '../bus-error.ts';
import { decode, encode } from '../codec.ts';
import type { Stoppable } from '../port.ts';
import type { Reports } from '../reports.ts';
import { busError } from './failure.ts';
import type { Link } from './link.ts';
import { LastingSubscription } from './subscription.ts';

/** Publish, subscribe, request and respond on core subjects: best effort, no acknowledgement. */
export class CoreMessages {
  readonly #link: Link;
  readonly #reports: Reports;

  constructor(link: Link, reports: Reports) {
    this.#link = link;
    this.#reports = reports;
  }

  publish<T>({ subject, schema, maxBytes }: Subject<T>, payload: T): void {
    const bytes = encode(subject, schema, payload, maxBytes);
    const connection = this.#link.connection();
    try {
      connection?.publish(subject, bytes);
      this.#reports.count(subject, connection === undefined ? 'dropped' : 'published');
    } catch {
      // Closed between the question and the call.
      this.#reports.count(subject, 'dropped');
    }
  }

  subscribe<T>(
    { subject, schema, maxBytes }: Subject<T>,
    onMessage: (payload: T) => void | Promise<void>,
    queue?: string,
  ): Stoppable {
    const handle = async (message: Msg): Promise<void> => {
      const decoded = decode(schema, message.data, maxBytes);
      if (!decoded.ok)
        return this.#reports.trouble(subject, 'invalid', 'message does not fit its subject', {
          reason: decoded.reason,
        });
      try {
        await onMessage(decoded.value);
        this.#reports.count(subject, 'received');
      } catch (error) {
        this.#reports.trouble(subject, 'failed', 'message could not be handled', { error });
      }
    };
    return new LastingSubscription(this.#link, this.#reports, subject, (message) => void handle(message), queue);
  }

  async request<Q, R>(
    { subject, request, reply, maxBytes }: RequestSubject<Q, R>,
    payload: Q,
    timeoutMs: number,
  ): Promise<R> {
    const bytes = encode(subject, request, payload, maxBytes);
    const connection = this.#link.connection();
    if (connection === undefined) throw new BusError('disconnected', `cannot ask ${subject}: not connected to NATS`);
    let message: Msg;
    try {
      message = await connection.request(subject, bytes, { timeout: timeoutMs });
    } catch (error) {
      throw busError(`ask ${subject}`, error);
    }
    const decoded = decode(reply, message.data, maxBytes);
    if (decoded.ok) return decoded.value;
    this.#reports.count(subject, 'invalid');
    throw new BusError('invalid-reply', `reply of ${subject} does not fit: ${decoded.reason}`);
  }

  respond<Q, R>(
    { subject, request, reply, maxBytes }: RequestSubject<Q, R>,
    answer: (payload: Q) => Promise<R | undefined>,
    queue?: string,
  ): Stoppable {
    const handle = async (message: Msg): Promise<void> => {
      const decoded = decode(request, message.data, maxBytes);
      if (!decoded.ok)
        return this.#reports.trouble(subject, 'invalid', 'request does not fit its subject', {
          reason: decoded.reason,
        });
      try {
        const answered = await answer(decoded.value);
        // Silence leaves the answer to another replica; so does a failure.
        if (answered === undefined) return;
        message.respond(encode(subject, reply, answered, maxBytes));
        this.#reports.count(subject, 'answered');
      } catch (error) {
        this.#reports.trouble(subject, 'failed', 'request could not be answered', { error });
      }
    };
    return new LastingSubscription(this.#link, this.#reports, subject, (message) => void handle(message), queue);
  }
}
