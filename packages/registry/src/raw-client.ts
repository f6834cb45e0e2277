import { RawConnection } from './raw-connection.ts';
import { describeUrl, RegistryError } from './errors.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Dial } from './connect.ts';
import type { OriginBreakers } from './origin-breakers.ts';
import type { ByteSink } from './port.ts';
import type { ResponseHead } from './response-head.ts';
import { timeoutsOf, type Timeouts } from './timeouts.ts';

const IDLE_MAX_PER_ORIGIN = 64;
/** Shorter than any server's own keep-alive, so that a reused connection is rarely one that was just closed. */
const IDLE_MS = 5_000;
/** Bodies that are not worth a new connection are read to their end. */
const DISCARD_MAX = 64 * 1024;
/** Of a header: nothing that could end its line. */
const LEGAL_VALUE = /^[\t\x20-\x7e]*$/;

export interface RawRequest {
  method: 'GET' | 'PUT' | 'PATCH';
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: { length: number; source: (sink: ByteSink) => Promise<void> };
  signal?: AbortSignal | undefined;
}

export interface RawResponse {
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** Undefined when the body's length is not stated: it can't be read here then. */
  readonly contentLength: number | undefined;
  /** Delivers the body; `contentLength` must be known. The connection is kept when it can be. */
  pump(sink: ByteSink, signal?: AbortSignal): Promise<void>;
  /** The body when it is small and its length is known, else undefined; the exchange is over either way. */
  readSmall(): Promise<Buffer | undefined>;
  /** Gives the body up. */
  discard(): void;
}

/** Requests whose bodies are blobs, over connections of its own that read into pooled buffers. */
export class RawClient {
  /** By origin, the one that is idle for longest first. */
  readonly #idle = new Map<string, { connection: RawConnection; sinceMs: number }[]>();
  /** Runs while something is idle. */
  #sweep: NodeJS.Timeout | undefined;
  readonly #dial: (url: URL) => Omit<Dial, 'timeoutMs' | 'signal' | 'onread'>;
  readonly #timeouts: Timeouts;
  readonly #pool: BufferPool;
  readonly #userAgent: string;
  readonly #breakers: OriginBreakers | undefined;
  /** Every connection that is open, idle or busy. */
  readonly #all = new Set<RawConnection>();
  #outdated = new WeakSet<RawConnection>();
  #closed = false;

  constructor(options: {
    dial: (url: URL) => Omit<Dial, 'timeoutMs' | 'signal' | 'onread'>;
    timeouts: Timeouts;
    pool: BufferPool;
    userAgent: string;
    /** Absent: every request is made. */
    breakers?: OriginBreakers | undefined;
  }) {
    this.#dial = options.dial;
    this.#timeouts = options.timeouts;
    this.#pool = options.pool;
    this.#userAgent = options.userAgent;
    this.#breakers = options.breakers;
  }

  /** One exchange, no redirects followed, no status judged. A kept connection that the peer had closed is replaced once, for a read. */
  request(request: RawRequest): Promise<RawResponse> {
    return this.#breakers?.guard(request.url, () => this.#request(request)) ?? this.#request(request);
  }

  async #request(request: RawRequest): Promise<RawResponse> {
    const text = this.#requestHead(request);
    const kept = this.#takeIdle(request.url.origin);
    if (kept !== undefined) {
      try {
        return this.#exchange(request, await this.#send(kept, text, request), kept);
      } catch (error) {
        // The source of an upload can be read once only: whoever uploads asks the session how far it is, and goes on from there.
        const again = error instanceof RegistryError && error.code === 'refused' && request.body === undefined;
        if (!again || request.signal?.aborted === true) throw error;
      }
    }
    const connection = await this.#open(request);
    return this.#exchange(request, await this.#send(connection, text, request), connection);
  }

  /** Requests from now on get connections of their own; running ones end on theirs, which nobody takes up. */
  renew(): void {
    for (const list of this.#idle.values()) for (const { connection } of list) connection.destroy();
    this.#idle.clear();
    this.#outdated = new WeakSet(this.#all);
  }

  #timeoutsOf(request: RawRequest): Timeouts {
    return timeoutsOf(this.#dial(request.url), this.#timeouts);
  }

  /** Ends every connection, busy ones too. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#sweep);
    this.#idle.clear();
    for (const connection of this.#all) connection.destroy();
  }

  async #open(request: RawRequest): Promise<RawConnection> {
    const signal = request.signal === undefined ? {} : { signal: request.signal };
    const way = this.#dial(request.url);
    const dial = { ...way, timeoutMs: timeoutsOf(way, this.#timeouts).connectMs, ...signal };
    const connection = await RawConnection.open(dial, this.#pool, (closed) => this.#all.delete(closed));
    this.#all.add(connection);
    if (this.#closed) connection.destroy();
    return connection;
  }

  #send(connection: RawConnection, text: string, request: RawRequest): Promise<ResponseHead> {
    const { idleMs, headersMs, commitMs } = this.#timeoutsOf(request);
    if (request.body === undefined) return connection.request(text, headersMs, request.signal);
    return connection.send(text, request.body, { idleMs, answerMs: commitMs }, request.signal);
  }

  #exchange(request: RawRequest, head: ResponseHead, connection: RawConnection): RawResponse {
    if (head.contentLength === 0) this.#keep(request.url.origin, connection);
    return new Exchange(request, head, connection, this.#timeoutsOf(request).idleMs, this.#done);
  }

  readonly #done = (origin: string, connection: RawConnection): void => this.#keep(origin, connection);

  #requestHead(request: RawRequest): string {
    const { url, method, body, headers } = request;
    let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
    if (headers['user-agent'] === undefined) head += `user-agent: ${this.#userAgent}\r\n`;
    if (headers['accept-encoding'] === undefined) head += 'accept-encoding: identity\r\n';
    for (const name in headers) {
      const value = headers[name]!;
      if (!LEGAL_VALUE.test(value))
        throw new RegistryError('rejected', `the ${name} header for ${url.host} holds illegal characters`);
      head += `${name}: ${value}\r\n`;
    }
    return body === undefined ? `${head}\r\n` : `${head}content-length: ${body.length}\r\n\r\n`;
  }

  #takeIdle(origin: string): RawConnection | undefined {
    const list = this.#idle.get(origin);
    for (;;) {
      const entry = list?.pop();
      if (entry === undefined) return undefined;
      if (!entry.connection.reusable) continue;
      entry.connection.setIdle(false);
      return entry.connection;
    }
  }

  #keep(origin: string, connection: RawConnection): void {
    if (!connection.reusable || this.#outdated.has(connection)) return connection.destroy();
    const list = this.#idle.get(origin) ?? [];
    if (this.#closed || list.length >= IDLE_MAX_PER_ORIGIN) return connection.destroy();
    connection.setIdle(true);
    list.push({ connection, sinceMs: performance.now() });
    this.#idle.set(origin, list);
    this.#sweep ??= setTimeout(() => this.#dropIdle(), IDLE_MS).unref();
  }

  /** Closes what was idle for too long: between once and twice `IDLE_MS`, so that a request costs no timer. */
  #dropIdle(): void {
    const before = performance.now() - IDLE_MS;
    for (const [origin, list] of this.#idle) {
      while (list[0] !== undefined && list[0].sinceMs <= before) list.shift()!.connection.destroy();
      if (list.length === 0) this.#idle.delete(origin);
    }
    this.#sweep = this.#idle.size === 0 ? undefined : setTimeout(() => this.#dropIdle(), IDLE_MS).unref();
  }
}

/** An answer whose body is still at its connection. */
class Exchange implements RawResponse {
  readonly #request: RawRequest;
  readonly #head: ResponseHead;
  readonly #connection: RawConnection;
  readonly #idleMs: number;
  readonly #done: (origin: string, connection: RawConnection) => void;

  constructor(
    request: RawRequest,
    head: ResponseHead,
    connection: RawConnection,
    idleMs: number,
    done: (origin: string, connection: RawConnection) => void,
  ) {
    this.#request = request;
    this.#head = head;
    this.#connection = connection;
    this.#idleMs = idleMs;
    this.#done = done;
  }

  get url(): URL {
    return this.#request.url;
  }

  get status(): number {
    return this.#head.status;
  }

  get contentLength(): number | undefined {
    return this.#head.contentLength;
  }

  header(name: string): string | undefined {
    return this.#head.header(name);
  }

  headers(name: string): readonly string[] {
    return this.#head.headers(name);
  }

  async pump(sink: ByteSink, signal = this.#request.signal): Promise<void> {
    const { contentLength } = this;
    if (contentLength === undefined)
      throw new RegistryError('invalid-response', `${describeUrl(this.url)} states no length`);
    if (contentLength === 0) return;
    await this.#connection.pump(contentLength, sink, { idleMs: this.#idleMs, signal });
    this.#done(this.url.origin, this.#connection);
  }

  async readSmall(): Promise<Buffer | undefined> {
    if (this.contentLength === undefined || this.contentLength > DISCARD_MAX) {
      this.discard();
      return undefined;
    }
    const parts: Buffer[] = [];
    await this.pump((chunk) => void parts.push(Buffer.from(chunk)));
    return Buffer.concat(parts);
  }

  discard(): void {
    if (this.contentLength !== 0) this.#connection.destroy();
  }
}
