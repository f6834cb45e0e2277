import { Agent, request as undiciRequest, type Dispatcher } from 'undici';
import { connect, type Dial } from './connect.ts';
import { abortedError, describeUrl, networkError, RegistryError } from './errors.ts';
import type { OriginBreakers } from './origin-breakers.ts';
import { timeoutsOf, type Timeouts } from './timeouts.ts';

const CONNECTIONS_PER_ORIGIN = 32;
const KEEP_ALIVE_MS = 10_000;

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: Buffer | string;
  signal?: AbortSignal | undefined;
}

/** An answer with its small body still to be read or thrown away. */
export interface HttpResponse {
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** The whole body, at most `maxBytes`. Throws `too-large`, `truncated`, `timeout`. */
  read(maxBytes: number): Promise<Buffer>;
  /** The body as it comes. */
  chunks(): AsyncIterable<Buffer>;
  discard(): void;
}

/** Small requests (manifests, tokens, tags, sessions) over undici; its connections come from the same `connect`. */
export class HttpClient {
  #agent: Agent;
  readonly #dial: (url: URL) => Omit<Dial, 'timeoutMs' | 'signal' | 'onread'>;
  readonly #timeouts: Timeouts;
  readonly #userAgent: string;
  readonly #breakers: OriginBreakers | undefined;

  constructor(options: {
    dial: (url: URL) => Omit<Dial, 'timeoutMs' | 'signal' | 'onread'>;
    timeouts: Timeouts;
    userAgent: string;
    /** Absent: every request is made. */
    breakers?: OriginBreakers | undefined;
  }) {
    this.#timeouts = options.timeouts;
    this.#userAgent = options.userAgent;
    this.#breakers = options.breakers;
    this.#dial = options.dial;
    this.#agent = this.#newAgent();
  }

  #newAgent(): Agent {
    return new Agent({
      connections: CONNECTIONS_PER_ORIGIN,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 64 * 1024,
      headersTimeout: 0,
      bodyTimeout: this.#timeouts.idleMs,
      connect: (wanted, callback) => {
        const url = new URL(`${wanted.protocol}//${wanted.host ?? wanted.hostname}`);
        const dial = this.#dial(url);
        connect({ ...dial, timeoutMs: timeoutsOf(dial, this.#timeouts).connectMs }).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
  }

  /**
   * One exchange, no redirects followed, no status judged. Bounded: connect, headers and body each have their time. A read whose kept
   * connection turns out to be dead is sent once more.
   */
  request(request: HttpRequest): Promise<HttpResponse> {
    return this.#breakers?.guard(request.url, () => this.#request(request)) ?? this.#request(request);
  }

  async #request(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#attempt(request);
    } catch (error) {
      const read = request.method === 'GET' || request.method === 'HEAD';
      if (!read || !isDeadConnection(error) || request.signal?.aborted === true) throw error;
      return this.#attempt(request);
    }
  }

  async #attempt(request: HttpRequest): Promise<HttpResponse> {
    const doing = `${request.method} ${describeUrl(request.url)}`;
    if (request.signal?.aborted === true) throw abortedError(doing, request.signal);
    const { connectMs, headersMs, idleMs } = timeoutsOf(this.#dial(request.url), this.#timeouts);
    const deadline = new Deadline(request.signal);
    deadline.arm(connectMs + headersMs, `${doing}: no answer within ${connectMs + headersMs} ms`);
    try {
      const answer = await undiciRequest(request.url, {
        method: request.method,
        headers: { 'user-agent': this.#userAgent, ...request.headers },
        body: request.body ?? null,
        signal: deadline.signal,
        bodyTimeout: idleMs,
        dispatcher: this.#agent,
        // undici ends a connection after every HEAD, for servers that send a body with it. Ours may stay: what such a server sends
        // is no answer to anything, and ends the connection then.
        reset: false,
      });
      deadline.arm(idleMs + headersMs, `${doing}: the body did not end within ${idleMs + headersMs} ms`);
      return response(request.url, answer, deadline, doing);
    } catch (error) {
      throw deadline.explain(doing, error);
    }
  }

  /** Requests from now on get connections of their own; running ones end on theirs. */
  renew(): void {
    const old = this.#agent;
    this.#agent = this.#newAgent();
    old.close().catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** The connection was there and broke before an answer; connecting itself did not fail. */
function isDeadConnection(error: unknown): boolean {
  const cause =
    error instanceof RegistryError ? (error.cause as { code?: unknown; syscall?: unknown } | undefined) : undefined;
  return cause?.syscall !== 'connect' && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(cause?.code));
}

function response(url: URL, answer: Dispatcher.ResponseData, deadline: Deadline, doing: string): HttpResponse {
  const headers = (name: string): readonly string[] => {
    const value = answer.headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  };
  const body = answer.body;
  body.on('error', () => undefined);
  body.once('close', () => deadline.clear());
  return {
    url,
    status: answer.statusCode,
    header: (name) => (headers(name).length === 0 ? undefined : headers(name).join(', ')),
    headers,
    async read(maxBytes) {
      const parts: Buffer[] = [];
      let size = 0;
      try {
        for await (const part of body as AsyncIterable<Buffer>) {
          size += part.length;
          if (size > maxBytes)
            throw new RegistryError('too-large', `${doing}: the body is larger than ${maxBytes} bytes`);
          parts.push(part);
        }
      } catch (error) {
        const explained = deadline.explain(doing, error);
        // Whatever broke after the head, the answer was cut.
        throw explained.code === 'refused'
          ? new RegistryError('truncated', explained.message, { cause: error })
          : explained;
      } finally {
        deadline.clear();
      }
      return Buffer.concat(parts, size);
    },
    chunks: () => {
      deadline.clear();
      return body as AsyncIterable<Buffer>;
    },
    discard: () => {
      deadline.clear();
      body.dump({ limit: 16 * 1024 }).catch(() => undefined);
    },
  };
}

/** The caller's signal and a timer in one, that remembers which of the two ended it. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #forward = () => this.#controller.abort(this.#outer?.reason);
  #timer: NodeJS.Timeout | undefined;
  #expired: string | undefined;

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    outer?.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  arm(ms: number, message: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#expired = message;
      this.#controller.abort();
    }, ms);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#forward);
  }

  explain(doing: string, error: unknown): RegistryError {
    this.clear();
    if (this.#expired !== undefined) return new RegistryError('timeout', this.#expired, { cause: error });
    if (this.#outer?.aborted === true) return abortedError(doing, this.#outer);
    return networkError(doing, error);
  }
}
