import { callLimits } from './call-limits.ts';
import type { CallTarget } from './call-target.ts';
import { KubeError } from './kube-error.ts';
import { LineSplitter } from './line-splitter.ts';
import type { CallOptions, KubeCall } from './port.ts';
import { statusError, type StatusBody } from './status-error.ts';
import type { Exchange, Transport } from './transport.ts';
import { transportError } from './transport-error.ts';

export type Call = CallTarget & CallOptions & { method: string; body?: object | undefined; contentType?: string };

export interface LinesOptions {
  signal: AbortSignal | undefined;
  /** 0: silence may last for ever. */
  idleTimeoutMs: number;
  onContact: (() => void) | undefined;
}

/** Calls and streams over the transport: bounded in time, counted, and every failure a KubeError. */
export class Calls {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #onCall: ((call: KubeCall) => void) | undefined;

  constructor(transport: Transport, timeoutMs: number, onCall: ((call: KubeCall) => void) | undefined) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
    this.#onCall = onCall;
  }

  /** One call, answered in JSON. */
  async json<T>(call: Call): Promise<T> {
    const { method, path, body, contentType = 'application/json', signal, timeoutMs = this.#timeoutMs } = call;
    const startedAt = performance.now();
    const limits = callLimits(signal, 'call', timeoutMs);
    const exchange: Exchange = {
      method,
      path,
      signal: limits.signal,
      pool: 'calls',
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType }),
    };
    try {
      const response = await this.#sendAgainIfStale(exchange);
      if (response.statusCode >= 400) await refuse(call, response);
      const text = await response.body.text();
      const parsed = parseJson<T>(call, text);
      this.#report(call, String(response.statusCode), startedAt);
      return parsed;
    } catch (error) {
      const failure = this.#failure(call, error, signal, limits.signal);
      this.#report(call, failure.status === undefined ? failure.code : String(failure.status), startedAt);
      throw failure;
    } finally {
      limits.end();
    }
  }

  /** A kept-alive socket may have died unnoticed: what only reads is sent once more, on a new one. */
  async #sendAgainIfStale(exchange: Exchange): ReturnType<Transport['send']> {
    try {
      return await this.#transport.send(exchange);
    } catch (error) {
      const stale = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes((error as { code?: string }).code ?? '');
      if (!stale || exchange.method !== 'GET' || exchange.signal.aborted) throw error;
      return this.#transport.send(exchange);
    }
  }

  #failure(target: CallTarget, error: unknown, caller: AbortSignal | undefined, bound: AbortSignal): KubeError {
    // undici may wrap the reason of our time-out; the signal has it plain.
    const timedOut = bound.aborted && caller?.aborted !== true;
    const thrown: unknown = timedOut && !(error instanceof KubeError) ? bound.reason : error;
    return transportError(target, this.#transport.server, thrown, caller?.aborted === true);
  }

  #report(target: CallTarget, status: string, startedAt: number): void {
    const ms = performance.now() - startedAt;
    this.#onCall?.({ verb: target.verb, resource: target.resource?.plural ?? '', status, ms });
  }

  /** The lines of an answer without end. Ends when the server closes after a whole line. */
  async *lines(target: CallTarget, { signal, idleTimeoutMs, onContact }: LinesOptions): AsyncGenerator<string> {
    const { path } = target;
    const limits = callLimits(signal, 'idle', idleTimeoutMs);
    const startedAt = performance.now();
    let reported = false;
    try {
      const response = await this.#transport.send({ method: 'GET', path, signal: limits.signal, pool: 'watches' });
      if (response.statusCode >= 400) await refuse(target, response);
      this.#report(target, String(response.statusCode), startedAt);
      reported = true;
      const lines = new LineSplitter();
      limits.heard();
      onContact?.();
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        limits.heard();
        onContact?.();
        for (const line of lines.push(chunk)) yield line;
      }
      const rest = lines.rest();
      if (rest.trim() !== '')
        throw new KubeError('unavailable', `cannot watch ${path}: cut off in the middle of an event`);
    } catch (error) {
      const failure = this.#failure(target, error, signal, limits.signal);
      if (!reported)
        this.#report(target, failure.status === undefined ? failure.code : String(failure.status), startedAt);
      throw failure;
    } finally {
      limits.end();
    }
  }

  close(): Promise<void> {
    return this.#transport.close();
  }
}

async function refuse(target: CallTarget, response: Awaited<ReturnType<Transport['send']>>): Promise<never> {
  const text = await response.body.text();
  const retryAfter = response.headers['retry-after'];
  let body: StatusBody;
  try {
    body = JSON.parse(text) as StatusBody;
  } catch {
    // Proxies in between answer in plain text.
    body = text === '' ? {} : { message: text.trim().slice(0, 200) };
  }
  throw statusError(target, response.statusCode, body, typeof retryAfter === 'string' ? retryAfter : undefined);
}

function parseJson<T>(target: CallTarget, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    // Without the parser's own words: they quote the text, which may be a Secret.
    const message = `cannot ${target.verb} ${target.path}: the answer is not JSON (${text.length} characters)`;
    throw new KubeError('unexpected', message);
  }
}
