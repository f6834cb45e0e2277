import { Agent, buildConnector, type Dispatcher } from 'undici';
import type { Access, CallHeaders } from './access/access.ts';

export interface TransportOptions {
  userAgent: string;
  /** Sockets for calls; watches have one each, so that they can never take the calls' sockets. */
  maxSockets: number;
  connectTimeoutMs: number;
}

export interface Exchange {
  method: string;
  /** With query. */
  path: string;
  body?: string | undefined;
  contentType?: string | undefined;
  signal: AbortSignal;
  /** 'calls': the bounded pool; 'watches': a socket of its own. */
  pool: 'calls' | 'watches';
}

/** The server closes idle connections after 90 s; ours go before that, so that a call never meets a closing one. */
const KEEP_ALIVE_MS = 45_000;

/** The one way to the API server: keep-alive HTTP/1.1 over undici, credentials read anew as they rotate. */
export class Transport {
  readonly server: string;
  readonly #access: Access;
  readonly #options: TransportOptions;
  readonly #origin: string;
  readonly #prefix: string;
  #pools: Record<Exchange['pool'], Agent>;
  #closed = false;

  constructor(access: Access, options: TransportOptions) {
    const url = new URL(access.server);
    this.server = access.server;
    this.#origin = url.origin;
    this.#prefix = url.pathname === '/' ? '' : url.pathname;
    this.#access = access;
    this.#options = options;
    this.#pools = this.#newPools();
  }

  /**
   * Sends one request and resolves with its head and open body. A 401 is tried once more with credentials that were read again.
   * Rejects with what undici or the credential's reading threw.
   */
  async send(exchange: Exchange): Promise<Dispatcher.ResponseData> {
    const before = await this.#access.headers();
    const response = await this.#request(exchange, before);
    if (response.statusCode !== 401) return response;
    this.#access.forget();
    const after = await this.#access.headers();
    const usesCertificate = (await this.#access.tls()).cert !== undefined;
    if (before['authorization'] === after['authorization'] && !usesCertificate) return response;
    await response.body.dump();
    if (usesCertificate) this.#renewPools();
    return this.#request(exchange, after);
  }

  /** Ends every request and connection at once. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#pools.calls.destroy(), this.#pools.watches.destroy()]);
  }

  #request(exchange: Exchange, headers: CallHeaders): Promise<Dispatcher.ResponseData> {
    const { method, path, body, contentType = 'application/json', signal, pool } = exchange;
    return this.#pools[pool].request({
      origin: this.#origin,
      path: this.#prefix + path,
      method: method,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': this.#options.userAgent,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      body: body ?? null,
      signal,
      // The caller's signal bounds both.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  #newPools(): Record<Exchange['pool'], Agent> {
    const timeout = this.#options.connectTimeoutMs;
    // A connector per connection: CA and client certificate files are read anew, so that rotation needs no restart.
    const connect: buildConnector.connector = (target, callback) => {
      const connectWith = (tls: object): void => buildConnector({ timeout, allowH2: false, ...tls })(target, callback);
      if (target.protocol === 'http:') connectWith({});
      else this.#access.tls().then(connectWith, (error: Error) => callback(error, null));
    };
    const common = { connect, pipelining: 1, allowH2: false, keepAliveTimeout: KEEP_ALIVE_MS, maxResponseSize: -1 };
    return {
      calls: new Agent({ ...common, connections: this.#options.maxSockets }),
      watches: new Agent({ ...common, keepAliveTimeout: 1_000 }),
    };
  }

  /** A client certificate belongs to its connection: new ones need new connections. Running calls end on the old ones. */
  #renewPools(): void {
    if (this.#closed) return;
    const old = this.#pools;
    this.#pools = this.#newPools();
    void old.calls.close();
    void old.watches.close();
  }
}
