import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import { within } from '../deadline.ts';
import type { QueueLog } from '../port.ts';
import { QueueError } from '../queue-error.ts';

export interface RedisLinkOptions {
  /** `redis://host:port[/db]`, `rediss://` for TLS. */
  readonly url: string;
  /** ACL user of this service. */
  readonly username?: string | undefined;
  /** File with its password; read again at each reconnect. */
  readonly passwordFile?: string | undefined;
  readonly log?: QueueLog;
}

/** The way to one Redis: a shared connection for short calls, and further ones for workers. Connects, and reconnects for ever, in the background. */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #connections = new Set<Redis>();
  readonly #shared: Redis;
  #away = false;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    // Without an offline queue a call made while Redis is away fails at once instead of waiting for it.
    this.#shared = this.connect({ maxRetriesPerRequest: 1, enableOfflineQueue: false });
  }

  ready(): boolean {
    return this.#shared.status === 'ready';
  }

  /** The shared connection, for BullMQ's queue side. */
  get shared(): Redis {
    return this.#shared;
  }

  /** A connection of one's own; ended with the link. */
  connect(overrides: RedisOptions): Redis {
    const { url, username, passwordFile } = this.#options;
    const redis: Redis = new Redis(url, {
      ...(username === undefined ? {} : { username }),
      ...(passwordFile === undefined ? {} : { password: readPassword(passwordFile) }),
      connectTimeout: 3000,
      // A silent peer: without it a half-open connection hangs until TCP gives up.
      keepAlive: 10_000,
      retryStrategy: (times) => {
        if (passwordFile !== undefined) redis.options.password = readPassword(passwordFile);
        return Math.max(50, Math.random() * Math.min(3000, 100 * 2 ** Math.min(times, 6)));
      },
      reconnectOnError: (error) => error.message.startsWith('NOAUTH') || error.message.startsWith('WRONGPASS'),
      ...overrides,
    });
    this.#connections.add(redis);
    redis.on('error', (error: Error) => this.#tell(error));
    redis.on('ready', () => {
      if (redis === this.#shared && this.#away) this.#options.log?.info('Redis is back');
      if (redis === this.#shared) this.#away = false;
    });
    redis.on('end', () => this.#connections.delete(redis));
    return redis;
  }

  /** Runs a short call on the shared connection. Throws QueueError `redis-away` after `ms`, or at once while Redis is away. */
  async call<T>(what: string, ms: number, run: (redis: Redis) => Promise<T>): Promise<T> {
    const away = (cause?: unknown): never => {
      throw new QueueError('redis-away', `cannot ${what}: Redis does not answer`, { cause });
    };
    if (!this.ready()) return away();
    return within(ms, run(this.#shared).catch(away), away);
  }

  /** Waits until Redis can be asked; false after `ms`. */
  async whenReady(ms: number): Promise<boolean> {
    if (this.ready()) return true;
    let onReady: () => void = () => undefined;
    const ready = new Promise<boolean>((resolve) => {
      onReady = () => resolve(true);
      this.#shared.once('ready', onReady);
    });
    return within(ms, ready, () => {
      this.#shared.off('ready', onReady);
      return false;
    });
  }

  /** Ends every connection. Idempotent. */
  async close(): Promise<void> {
    await Promise.resolve();
    for (const redis of [...this.#connections]) redis.disconnect();
  }

  #tell(error: Error): void {
    if (this.#away) return;
    this.#away = true;
    this.#options.log?.warn('Redis cannot be reached, trying for ever', { error });
  }
}

function readPassword(file: string): string {
  return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
}
