import { readFileSync } from 'node:fs';
import { nkeyAnswer } from '@kuik/contracts';
import { connect, DebugEvents, Events } from 'nats';
import type { ConnectionOptions, NatsConnection } from 'nats';
import { backoff, pause } from '../pause.ts';
import type { BusStatus, Stoppable } from '../port.ts';
import type { Reports } from '../reports.ts';

export interface LinkOptions {
  /** `nats://host:4222`, several with commas; `tls://` demands TLS. */
  readonly url: string;
  /** Name of the connection and, after `_INBOX_`, of its own inboxes. */
  readonly service: string;
  /** File with the nkey seed; read again at each connect. Without it the connection is anonymous. */
  readonly seedFile?: string;
  /** PEM of a private CA. */
  readonly caFile?: string;
  /** Longest time between two attempts to connect; default 5 s. */
  readonly reconnectMaxMs?: number;
}

/** How long subscriptions may take to finish what they were given. */
const DRAIN_MS = 3_000;

/**
 * One connection that is retried for ever: with the server down at start, after it went, after it refused us. Whoever needs it asks for
 * `connection()` each time, and is told when there is a working one again.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #reports: Reports;
  readonly #ending = new AbortController();
  readonly #statusListeners = new Set<(status: BusStatus) => void>();
  readonly #connectedListeners = new Set<(connection: NatsConnection) => void>();
  readonly #running: Promise<void>;
  #connection: NatsConnection | undefined;
  #status: BusStatus = 'reconnecting';

  constructor(options: LinkOptions, reports: Reports) {
    this.#options = options;
    this.#reports = reports;
    this.#running = this.#run();
  }

  status(): BusStatus {
    return this.#status;
  }

  /** The connection while it works; undefined otherwise. */
  connection(): NatsConnection | undefined {
    return this.#status === 'connected' ? this.#connection : undefined;
  }

  onStatus(listener: (status: BusStatus) => void): Stoppable {
    return listenIn(this.#statusListeners, listener);
  }

  /** Called with the connection after each connect and reconnect, and at once when it is up. */
  onConnected(listener: (connection: NatsConnection) => void): Stoppable {
    const current = this.connection();
    if (current !== undefined) listener(current);
    return listenIn(this.#connectedListeners, listener);
  }

  /** Drains what is subscribed (bounded), then closes. Idempotent. */
  async close(): Promise<void> {
    if (!this.#ending.signal.aborted) {
      const connection = this.#connection;
      const connected = this.#status === 'connected';
      this.#ending.abort();
      if (connection !== undefined && connected) {
        const drained = new AbortController();
        await Promise.race([connection.drain().catch(() => undefined), pause(DRAIN_MS, drained.signal)]);
        // The timer would hold the process open.
        drained.abort();
      }
      await connection?.close().catch(() => undefined);
      this.#change('closed');
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted;) {
      try {
        const connection = await connect(this.#connectionOptions());
        failures = 0;
        if (signal.aborted) await connection.close();
        else await this.#use(connection);
      } catch (error) {
        failures += 1;
        if (failures % 20 === 1)
          this.#reports.log?.warn('NATS cannot be reached, trying for ever', { url: this.#options.url, error });
      }
      if (!signal.aborted)
        await pause(backoff(Math.max(1, failures), 200, this.#options.reconnectMaxMs ?? 5000), signal);
    }
  }

  /** Until the library gives the connection up for good. */
  async #use(connection: NatsConnection): Promise<void> {
    this.#connection = connection;
    // Not waited for: after a reconnect the library never ends this iterator, not even when it closes (2.29.3, tried).
    void this.#watch(connection);
    this.#connected(connection);
    const error = await connection.closed();
    if (!this.#ending.signal.aborted) {
      this.#change('reconnecting');
      this.#reports.log?.warn('NATS connection closed, connecting anew', { error: error ?? undefined });
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type, data, permissionContext } of connection.status()) {
      if (type === Events.Disconnect || type === DebugEvents.StaleConnection) this.#change('reconnecting');
      else if (type === Events.Reconnect) this.#connected(connection);
      else if (type === Events.Error && permissionContext !== undefined) {
        this.#reports.trouble(permissionContext.subject, 'denied', 'NATS denied an operation', {
          operation: permissionContext.operation,
        });
      } else if (type === Events.Error)
        this.#reports.log?.warn('NATS reported an error', {
          error: typeof data === 'string' ? data : JSON.stringify(data),
        });
    }
  }

  #connected(connection: NatsConnection): void {
    if (this.#ending.signal.aborted) return;
    this.#reports.log?.info('NATS connected', { url: this.#options.url });
    this.#change('connected');
    for (const listener of [...this.#connectedListeners]) listener(connection);
  }

  #change(status: BusStatus): void {
    if (this.#status === status || this.#status === 'closed') return;
    this.#status = status;
    for (const listener of [...this.#statusListeners]) listener(status);
  }

  #connectionOptions(): ConnectionOptions {
    const { url, service, seedFile, caFile, reconnectMaxMs = 5000 } = this.#options;
    let failures = 0;
    return {
      servers: url.split(',').map((server) => server.trim()),
      name: `kuik-${service}`,
      inboxPrefix: `_INBOX_${service}`,
      timeout: 3000,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => backoff((failures = Math.min(failures + 1, 8)), 100, reconnectMaxMs),
      ignoreAuthErrorAbort: true,
      pingInterval: 10_000,
      maxPingOut: 2,
      ...(seedFile === undefined ? {} : { authenticator: (nonce?: string) => nkeyAnswer(readSeed(seedFile), nonce) }),
      ...(caFile !== undefined ? { tls: { caFile } } : url.startsWith('tls://') ? { tls: {} } : {}),
    };
  }
}

function readSeed(file: string): string {
  return readFileSync(file, 'utf8').trim();
}

function listenIn<L>(listeners: Set<L>, listener: L): Stoppable {
  listeners.add(listener);
  return {
    async stop() {
      await Promise.resolve();
      listeners.delete(listener);
    },
  };
}
