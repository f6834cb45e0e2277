import { connect, type Socket } from 'node:net';

/** Gets one chunk; a promise holds the next one back. A chunk is valid until then. */
export type ChunkSink = (chunk: Buffer) => Promise<void> | undefined;

/** An answer whose body has not been read. */
export interface BackingAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Hands the whole body to the sink; rejects when the registry breaks off, or with what the sink throws. */
  deliver(sink: ChunkSink): Promise<void>;
  /** Drops the connection. */
  cancel(): void;
}

const BUFFER_BYTES = 1 << 20;
const HEAD_MAX = 64 * 1024;
const SPARE_MAX = 16;
const spare: Buffer[] = [];

function takeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

/**
 * GET over a socket of its own, read into two large buffers in turn: Node's own HTTP client hands out 64 KiB pieces at 3 to 4
 * times the CPU. HTTP/1.0, so that the answer is never chunked; for bodies that are long, so that a connection each is cheap.
 */
export function rawGet(url: URL, headers: Readonly<Record<string, string>>): Promise<BackingAnswer> {
  return new Promise((resolve, reject) => {
    const buffers = [takeBuffer(), takeBuffer()];
    let turn = 0;
    let head: Buffer = Buffer.alloc(0);
    let body: Body | undefined;
    const socket: Socket = connect({
      host: url.hostname,
      port: Number(url.port),
      onread: {
        buffer: () => buffers[turn++ % 2]!,
        callback: (length, buffer) => {
          const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, length);
          if (body !== undefined) return body.accept(chunk);
          head = Buffer.concat([head, chunk]);
          const end = head.indexOf('\r\n\r\n');
          if (end === -1) {
            if (head.length > HEAD_MAX) socket.destroy(new Error('the answer has no end of its header'));
            return true;
          }
          const parsed = parseHead(head.toString('latin1', 0, end));
          const length_ = parsed.headers['content-length'];
          body = new Body(socket, head.subarray(end + 4), length_ === undefined ? undefined : Number(length_));
          resolve({
            ...parsed,
            deliver: async (sink) => {
              await body!.deliver(sink);
              // Only after a whole body: whoever broke off may still hold a piece of them.
              if (spare.length < SPARE_MAX) spare.push(...buffers);
            },
            cancel: () => socket.destroy(),
          });
          return false;
        },
      },
    });
    socket.on('error', (error) => {
      reject(error);
      body?.fail(error);
    });
    socket.on('close', () => {
      reject(new Error('the connection was closed before the answer'));
      body?.ended();
    });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${url.pathname}${url.search} HTTP/1.0\r\nhost: ${url.host}\r\n${lines.join('')}\r\n`);
  });
}

/** The body of one raw answer: at most one chunk is with the sink and one waits, then reading pauses. */
class Body {
  readonly #socket: Socket;
  #left: number | undefined;
  #sink: ChunkSink | undefined;
  #busy = false;
  #waiting: Buffer | undefined;
  #closed = false;
  readonly #finish = Promise.withResolvers<void>();

  constructor(socket: Socket, first: Buffer, length: number | undefined) {
    this.#socket = socket;
    this.#left = length;
    this.#waiting = first.length > 0 ? first : undefined;
    this.#finish.promise.catch(() => undefined);
  }

  deliver(sink: ChunkSink): Promise<void> {
    this.#sink = sink;
    this.#next();
    return this.#finish.promise;
  }

  /** A chunk was read; false pauses reading. */
  accept(chunk: Buffer): boolean {
    this.#waiting = chunk;
    if (this.#busy || this.#sink === undefined) return false;
    this.#next();
    return this.#waiting === undefined;
  }

  fail(error: Error): void {
    this.#finish.reject(error);
  }

  ended(): void {
    this.#closed = true;
    if (!this.#busy && this.#waiting === undefined) this.#settle();
  }

  #next(): void {
    const chunk = this.#waiting;
    this.#waiting = undefined;
    if (chunk !== undefined) {
      if (this.#left !== undefined) this.#left -= chunk.length;
      let pending: Promise<void> | undefined;
      try {
        pending = this.#sink!(chunk);
      } catch (error) {
        this.#abort(error);
        return;
      }
      if (pending !== undefined) {
        this.#busy = true;
        pending.then(
          () => {
            this.#busy = false;
            this.#next();
          },
          (error: unknown) => {
            this.#abort(error);
          },
        );
      }
    }
    if (this.#busy) {
      if (this.#waiting === undefined && this.#left !== 0) this.#socket.resume();
      return;
    }
    if (this.#left === 0 || this.#closed) this.#settle();
    else this.#socket.resume();
  }

  #abort(error: unknown): void {
    this.#finish.reject(error);
    this.#socket.destroy();
  }

  #settle(): void {
    if (this.#left === undefined || this.#left === 0) this.#finish.resolve();
    else this.#finish.reject(new Error(`the registry broke off ${this.#left} bytes early`));
    this.#socket.destroy();
  }
}

function parseHead(text: string): { status: number; headers: Record<string, string> } {
  const [first = '', ...lines] = text.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(first.split(' ')[1]), headers };
}
