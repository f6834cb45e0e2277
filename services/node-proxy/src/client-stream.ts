import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The client went away, or read nothing for too long. */
export class ClientGone extends Error {
  constructor() {
    super('the client is gone');
    this.name = 'ClientGone';
  }
}

/**
 * The body of one answer, written straight to the client's socket: no copy, no chunk smaller than it came, and the promise of a write
 * settles when the kernel has the bytes, so that the caller's buffer can be used again. The answer must state its Content-Length.
 */
export class ClientStream {
  readonly #response: ServerResponse;
  readonly #onBytes: (bytes: number) => void;
  readonly #gone = new AbortController();
  #socket: Socket | null = null;
  #headSent = false;

  /** `idleMs`: how long a client may take nothing before it counts as gone. `onBytes` hears of each chunk handed to the kernel. */
  constructor(response: ServerResponse, idleMs: number, onBytes: (bytes: number) => void) {
    this.#response = response;
    this.#onBytes = onBytes;
    response.once('close', () => {
      if (!response.writableFinished) this.#gone.abort(new ClientGone());
    });
    response.setTimeout(idleMs, () => this.break());
  }

  /** Aborts when the client is gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Sets the head; it leaves with the first chunk. */
  start(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, headers);
    // Null while an earlier answer of a pipelining client is still under way.
    this.#socket = this.#response.socket;
  }

  /** Undefined when the kernel took everything at once; otherwise a promise. Rejects with ClientGone. */
  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#gone.signal.aborted) return Promise.reject(new ClientGone());
    this.#onBytes(chunk.length);
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

  /** All bytes were written. */
  end(): void {
    this.#response.end();
  }

  /** Cuts the answer short, so that the client cannot take it for whole. */
  break(): void {
    this.#gone.abort(new ClientGone());
    this.#response.socket?.destroy();
    this.#response.destroy();
  }
}
