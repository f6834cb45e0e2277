import type { Socket } from 'node:net';
import { ClientGone, type ClientStream } from './client-stream.ts';
import { HeadEnds, headFields } from './wire-head.ts';

const REASONS = { 200: 'OK', 206: 'Partial Content' } as const;
/** A head and a body up to this are copied into one write; more is handed over as it is, both by one call. */
const TOGETHER_BYTES = 16 * 1024;
const ends = new HeadEnds();

/** One answer over a connection that node:http does not know of: a blob by and by, or something small at once. */
export class SocketAnswer implements ClientStream {
  readonly #socket: Socket;
  readonly #gone = new AbortController();
  /** Waits for its first bytes. */
  #head: string | undefined;
  /** Writes whose end was not told yet, and who waits for the last of them. */
  #writing = 0;
  #waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  /** No other answer follows on this connection. */
  last = false;
  begun = false;
  sent = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  start(status: 200 | 206, headers: Readonly<Record<string, string>>): void {
    this.#head = headFields(status, REASONS[status], headers) + ends.of(Date.now(), !this.last);
  }

  write(chunk: Buffer): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.destroyed) return Promise.reject(new ClientGone());
    const head = this.#head;
    this.sent += chunk.length;
    this.#writing += 1;
    if (head === undefined) {
      socket.write(chunk, this.#written);
    } else {
      this.#head = undefined;
      this.begun = true;
      if (chunk.length <= TOGETHER_BYTES) {
        const both = Buffer.allocUnsafe(head.length + chunk.length);
        both.write(head, 0, 'latin1');
        chunk.copy(both, head.length);
        socket.write(both, this.#written);
      } else {
        socket.cork();
        socket.write(head, 'latin1');
        socket.write(chunk, this.#written);
        socket.uncork();
      }
    }
    if (socket.writableLength === 0) return undefined;
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  end(): void {
    if (this.#head === undefined) return;
    this.#socket.write(this.#head, 'latin1');
    this.#head = undefined;
    this.begun = true;
  }

  /** A whole answer in one piece, in place of one that was not begun. */
  whole(status: number, reason: string, headers: Readonly<Record<string, string>>, body: Buffer): void {
    const head = headFields(status, reason, headers) + ends.of(Date.now(), !this.last);
    this.begun = true;
    this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
  }

  /** Cuts the answer short, so that the client cannot take it for whole. */
  break(): void {
    this.#socket.destroy();
  }

  /** The client is gone: whoever reads for it may stop. */
  gone(): void {
    const error = new ClientGone();
    this.#gone.abort(error);
    this.#waiting?.reject(error);
  }

  readonly #written = (error?: Error | null): void => {
    this.#writing -= 1;
    const waiting = this.#waiting;
    // The ends of earlier writes, for which nobody waited, are told only now.
    if (waiting === undefined || (this.#writing > 0 && !error)) return;
    this.#waiting = undefined;
    if (error) waiting.reject(new ClientGone());
    else waiting.resolve();
  };
}
