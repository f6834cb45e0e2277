import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import { settledWithin } from '../bounded.ts';
import type { QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';

/** Where Redis is and who we are there; `redisConfig` of the contracts fits. What is set here wins over what the URL says. */
export interface RedisSettings {
  /** `redis://host:port/db`; `rediss://` for TLS. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Read at start and before each reconnect. */
  readonly passwordFile?: string | undefined;
}

export interface OpenOptions {
  /** BullMQ needs commands that wait for ever for a connection; everybody else wants them to fail. */
  readonly patient: boolean;
  readonly purpose: string;
}

/** A connection that nobody answers on for this long is dead; BullMQ blocks for 10 s at most. */
const SILENT_MS = 5_000;
const BLOCKING_SILENT_MS = 20_000;

/** One Redis client and its duplicates (BullMQ makes one for blocking reads), retried for ever until `close`. */
export class RedisLink {
  readonly client: Redis;
  readonly #duplicates = new Set<Redis>();
  readonly #waiting = new Set<() => void>();
  #connects = 0;

  constructor(settings: RedisSettings, { patient, purpose }: OpenOptions, reports: QueueReports) {
    this.client = new Redis(addressOf(settings), connectOptions(settings, patient));
    watch(this.client, purpose, reports);
    this.client.on('close', () => forgetSilence(this.client));
    const tellWaiting = (): void => this.#waiting.forEach((resolve) => resolve());
    this.client.on('ready', () => {
      this.#connects += 1;
      tellWaiting();
    });
    this.client.on('end', tellWaiting);
    const duplicate = this.client.duplicate.bind(this.client);
    this.client.duplicate = (override?: Partial<RedisOptions>) => {
      const copy = duplicate({ ...override, socketTimeout: BLOCKING_SILENT_MS });
      copy.on('error', () => undefined);
      copy.on('close', () => forgetSilence(copy));
      this.#duplicates.add(copy);
      return copy;
    };
    // ioredis reads the password from each client's own options at each connect; duplicates inherit the strategy.
    const { client } = this;
    client.options.retryStrategy = (times) => {
      refreshPassword(client, settings);
      for (const copy of this.#duplicates) refreshPassword(copy, settings);
      return retryDelayMs(times);
    };
  }

  get ready(): boolean {
    return this.client.status === 'ready';
  }

  /** Whether Redis answers within `ms`. */
  async readyWithin(ms: number): Promise<boolean> {
    if (this.ready) return true;
    if (this.client.status === 'end') return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await settledWithin(promise, ms);
    this.#waiting.delete(resolve);
    return this.ready;
  }

  /** Tells whenever Redis is there again after it was away. */
  onReturn(listener: () => void): void {
    this.client.on('ready', () => {
      if (this.#connects > 1) listener();
    });
  }

  /** Ends all connections at once. Idempotent. */
  close(): void {
    // ioredis waits its `disconnectTimeout` for a connection that has ended already, and the process with it.
    for (const client of [...this.#duplicates, this.client]) if (client.status !== 'end') client.disconnect();
  }
}

/** The URL without what is set apart from it: ioredis prefers what the URL says. */
function addressOf(settings: RedisSettings): string {
  if (!URL.canParse(settings.url)) throw new QueueError('invalid-settings', 'redis.url is not a URL');
  const url = new URL(settings.url);
  if (settings.username !== undefined) url.username = '';
  if (settings.password !== undefined || settings.passwordFile !== undefined) url.password = '';
  return url.href;
}

function connectOptions(settings: RedisSettings, patient: boolean): RedisOptions {
  const password = settings.password ?? readPassword(settings);
  return {
    maxRetriesPerRequest: patient ? null : 0,
    enableOfflineQueue: patient,
    socketTimeout: SILENT_MS,
    connectTimeout: 3_000,
    disconnectTimeout: 200,
    keepAlive: 10_000,
    // CLIENT is refused to our users.
    disableClientInfo: true,
    ...(settings.username === undefined ? {} : { username: settings.username }),
    ...(password === undefined ? {} : { password }),
  };
}

/** Tells once that Redis went and once that it is back. */
function watch(client: Redis, purpose: string, { log }: QueueReports): void {
  let told = false;
  const server = `${client.options.host ?? ''}:${client.options.port ?? ''}`;
  client.on('ready', () => {
    told = false;
    log?.info('Redis connected', { server, purpose });
  });
  client.on('error', (error: Error) => {
    if (told) return;
    told = true;
    log?.warn('Redis cannot be reached, trying for ever', { server, purpose, error: error.message });
  });
}

/** ioredis 5.11 keeps the timer of `socketTimeout` when a connection closes, and then breaks the next one with it. */
function forgetSilence(client: Redis): void {
  const timed = client as unknown as { socketTimeoutTimer?: NodeJS.Timeout | undefined };
  clearTimeout(timed.socketTimeoutTimer);
  timed.socketTimeoutTimer = undefined;
}

/** Doubling from 50 ms to 2 s, with jitter. */
function retryDelayMs(times: number): number {
  const ceiling = Math.min(2_000, 50 * 2 ** Math.min(times, 10));
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}

function refreshPassword(client: Redis, settings: RedisSettings): void {
  if (settings.password !== undefined) return;
  try {
    const password = readPassword(settings);
    if (password !== undefined) client.options.password = password;
  } catch {
    // The one read before may still do; the next attempt reads again.
  }
}

function readPassword({ passwordFile }: RedisSettings): string | undefined {
  if (passwordFile === undefined) return undefined;
  try {
    return readFileSync(passwordFile, 'utf8').trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new QueueError('invalid-settings', `redis.passwordFile ${passwordFile} cannot be read (${code})`);
  }
}
