import type { NatsConnection, StreamConfig } from 'nats';
import { BusError } from '../bus-error.ts';
import { backoff, pause } from '../pause.ts';
import type { Stoppable } from '../port.ts';
import type { Reports } from '../reports.ts';
import { busError, jetStreamCode, JS } from './failure.ts';
import type { Link } from './link.ts';

/** A stream as we want it; fields newer than the client library included. */
export type WantedStream = Partial<StreamConfig> & {
  name: string;
  allow_msg_ttl?: boolean;
  subject_delete_marker_ttl?: number;
};

interface Owned {
  readonly wanted: WantedStream;
  readonly onCreated: Set<() => void>;
  /** The server's time of creation: another one means an empty stream. */
  created: string | undefined;
}

const CHECK_MS = 30_000;

/** The streams that this process keeps in being: made at connect, made again when the server lost them, changed when we changed. */
export class OwnedStreams {
  readonly #link: Link;
  readonly #reports: Reports;
  readonly #owned = new Map<string, Owned>();
  readonly #ending = new AbortController();
  readonly #checking = new Map<string, Promise<void>>();
  readonly #connected: Stoppable;
  #wake: () => void = () => undefined;
  readonly #loop: Promise<void>;

  constructor(link: Link, reports: Reports) {
    this.#link = link;
    this.#reports = reports;
    this.#connected = link.onConnected(() => this.#wake());
    this.#loop = this.#run();
  }

  own(wanted: WantedStream, onCreated?: () => void): void {
    const owned = this.#owned.get(wanted.name) ?? { wanted, onCreated: new Set(), created: undefined };
    if (onCreated !== undefined) owned.onCreated.add(onCreated);
    this.#owned.set(wanted.name, owned);
    this.#wake();
  }

  /** Makes sure that the stream exists now. Throws BusError. */
  ensure(name: string): Promise<void> {
    const running = this.#checking.get(name);
    if (running !== undefined) return running;
    const check = this.#ensure(name).finally(() => this.#checking.delete(name));
    this.#checking.set(name, check);
    return check;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#wake();
    await this.#connected.stop();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted;) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const results =
        this.#link.connection() === undefined
          ? []
          : await Promise.allSettled([...this.#owned.keys()].map((name) => this.ensure(name)));
      const failed = results.find((result) => result.status === 'rejected');
      failures = failed === undefined ? 0 : failures + 1;
      if (failures === 3) this.#reports.log?.warn('NATS streams cannot be made', { error: failed!.reason as unknown });
      await Promise.race([
        woken,
        pause(failures > 0 ? backoff(failures, 200, 10_000) : CHECK_MS * (0.8 + 0.4 * Math.random()), signal),
      ]);
    }
  }

  async #ensure(name: string): Promise<void> {
    const owned = this.#owned.get(name);
    const connection = this.#link.connection();
    if (owned === undefined || connection === undefined)
      throw new BusError('disconnected', `cannot make stream ${name}: not connected to NATS`);
    try {
      const created = await place(connection, owned.wanted);
      if (created === owned.created) return;
      owned.created = created;
    } catch (error) {
      throw busError(`make stream ${name}`, error);
    }
    for (const listener of owned.onCreated) listener();
  }
}

/** Creates or updates; returns when the server created it. */
async function place(connection: NatsConnection, wanted: WantedStream): Promise<string> {
  const { streams } = await connection.jetstreamManager({ checkAPI: false, timeout: 3000 });
  try {
    const info = await streams.info(wanted.name);
    const stale = Object.entries(wanted).some(
      ([field, value]) => JSON.stringify(info.config[field as keyof StreamConfig]) !== JSON.stringify(value),
    );
    if (stale) await streams.update(wanted.name, wanted);
    return info.created;
  } catch (error) {
    if (jetStreamCode(error) !== JS.streamNotFound) throw error;
    return (await streams.add(wanted)).created;
  }
}
