import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ClientGone, type ClientStream } from './client-stream.ts';

/** The body of an answer of node:http, written straight to the client's socket. */
export class ResponseStream implements ClientStream {
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  #socket: Socket | null = null;
  #headSent = false;
  sent = 0;

  /** `idleMs`: how long a client may take nothing before it counts as gone. */
  constructor(response: ServerResponse, idleMs: number) {
    this.#response = response;
    response.once('close', () => {
      if (!response.writableFinished) this.#gone.abort(new ClientGone());
    });
    response.setTimeout(idleMs, () => this.#break());
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get begun(): boolean {
    return this.#response.headersSent;
  }

  start(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, headers);
    // Null while an earlier answer of a pipelining client is still under way.
    this.#socket = this.#response.socket;
  }

  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#gone.signal.aborted) return Promise.reject(new ClientGone());
    this.sent += chunk.length;
    const target = this.#socket ?? this.#response;
    // Called in a later turn, when somebody may be waiting.
    let settle: ((error: Error | null | undefined) => void) | undefined;
    const written = (error: Error | null | undefined): void => settle?.(error);
    if (this.#headSent) {
      target.write(chunk, written);
    } else {
      this.#headSent = true;
      target.cork();
      this.#response.flushHeaders();
      target.write(chunk, written);
      target.uncork();
    }
    if (this.#socket?.writableLength === 0) return undefined;
    return new Promise((resolve, reject) => {
      settle = (error) => (error ? reject(new ClientGone()) : resolve());
    });
  }

  end(): void {
    this.#response.end();
  }

  /** Cuts the answer short, so that the client cannot take it for whole. */
  #break(): void {
    this.#gone.abort(new ClientGone());
    this.#response.socket?.destroy();
    this.#response.destroy();
  }
}
