import type { Msg, NatsConnection, Subscription } from 'nats';
import type { Stoppable } from '../port.ts';
import type { Reports } from '../reports.ts';
import type { Link } from './link.ts';

/** A core subscription that outlives connections: made anew on each new one, and when the server had refused it. */
export class LastingSubscription implements Stoppable {
  readonly #subject: string;
  readonly #queue: string | undefined;
  readonly #onMessage: (message: Msg) => void;
  readonly #reports: Reports;
  readonly #connected: Stoppable;
  #current: { subscription: Subscription; connection: NatsConnection } | undefined;

  constructor(link: Link, reports: Reports, subject: string, onMessage: (message: Msg) => void, queue?: string) {
    this.#subject = subject;
    this.#queue = queue;
    this.#onMessage = onMessage;
    this.#reports = reports;
    this.#connected = link.onConnected((connection) => this.#attach(connection));
  }

  /** Stops hearing; messages already received are still handled. */
  async stop(): Promise<void> {
    await this.#connected.stop();
    const subscription = this.#current?.subscription;
    this.#current = undefined;
    if (subscription !== undefined && !subscription.isClosed()) await subscription.drain().catch(() => undefined);
  }

  #attach(connection: NatsConnection): void {
    if (this.#current?.connection === connection && !this.#current.subscription.isClosed()) return;
    const subscription = connection.subscribe(this.#subject, {
      ...(this.#queue === undefined ? {} : { queue: this.#queue }),
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
        else this.#reports.trouble(this.#subject, 'denied', 'NATS refused a subscription', { error });
      },
    });
    this.#current = { subscription, connection };
  }
}
