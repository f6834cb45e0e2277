import { AbortWatch } from './abort-watch.ts';
import { BodyPump, type PumpSource } from './body-pump.ts';
import { connect, type Dial } from './connect.ts';
import { abortedError, networkError, RegistryError } from './errors.ts';
import { Incoming } from './incoming.ts';
import type { Socket } from 'node:net';
import { Patience } from './patience.ts';
import type { ResponseHead } from './response-head.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { ByteSink } from './port.ts';

/** Bodies up to this size get a buffer of their own size instead of one from the pool. */
const SMALL_BODY = 64 * 1024;

export interface PumpOptions {
  /** Longest silence of the peer while bytes are awaited. */
  idleMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * One HTTP/1.1 connection whose reads land in large buffers of ours (`onread`): no per-read allocation, no stream machinery. It
 * carries one exchange at a time: `request`, then the body by `pump`, then it may be reused while `reusable`.
 */
export class RawConnection {
  #socket: Socket | undefined;
  #failure: RegistryError | undefined;
  /** Of the side that waits for bytes, a head or a failure. */
  readonly #patience = new Patience((what) => this.destroy(new RegistryError('timeout', what)));
  /** From a request to the end of its body. */
  readonly #aborts = new AbortWatch((signal) => this.destroy(abortedError(`request to ${this.#name}`, signal)));
  readonly #incoming: Incoming;
  readonly #name: string;
  readonly #onClosed: () => void;
  readonly #pool: BufferPool;
  /** What the body under way has of the pool, from its head to its end. */
  #lent: Buffer[] = [];
  #pumping = false;
  #pump: BodyPump | undefined;
  /** The pump that is driven at the end of this turn. */
  #driven: BodyPump | undefined;

  private constructor(name: string, encrypted: boolean, pool: BufferPool, onClosed: () => void) {
    this.#name = name;
    this.#pool = pool;
    this.#onClosed = onClosed;
    this.#incoming = new Incoming({
      name,
      encrypted,
      buffer: (rest) => this.#firstBuffer(rest),
      onProgress: () => this.#stir(),
      onFailure: (error) => this.#fail(error),
    });
  }

  /** Connects; `onClosed` is called once, whoever ends the connection. */
  static async open(
    dial: Omit<Dial, 'onread'>,
    pool: BufferPool,
    onClosed: (connection: RawConnection) => void,
  ): Promise<RawConnection> {
    const encrypted = dial.url.protocol === 'https:';
    const connection: RawConnection = new RawConnection(dial.url.host, encrypted, pool, () => onClosed(connection));
    const socket = await connect({
      ...dial,
      onread: {
        buffer: () => connection.#incoming.target(),
        callback: (bytes: number, buffer: Buffer) => connection.#incoming.took(bytes, buffer),
      },
    });
    connection.#socket = socket;
    socket.on('error', (error) => connection.#fail(networkError(`connection to ${connection.#name} broke`, error)));
    const closed = () => connection.#fail(new RegistryError('refused', `${connection.#name} closed the connection`));
    socket.on('end', closed);
    socket.on('close', closed);
    return connection;
  }

  /** No exchange is under way and the peer agreed to carry another. */
  get reusable(): boolean {
    return this.#failure === undefined && this.#incoming.reusable;
  }

  /** Holds the process up or not while idle. */
  setIdle(idle: boolean): void {
    if (idle) this.#socket?.unref();
    else this.#socket?.ref();
  }

  destroy(error?: RegistryError): void {
    this.#fail(error ?? new RegistryError('aborted', `connection to ${this.#name} was closed`));
    if (this.#pumping) return;
    // Nobody takes the body that was held.
    this.#incoming.bodyOver();
    this.#giveBack();
  }

  /** Sends a request head and reads the response head, skipping interim ones. Throws `timeout`, `refused`, `invalid-response`. */
  request(head: string, headersMs: number, signal?: AbortSignal): Promise<ResponseHead> {
    this.begin();
    this.#aborts.watch(signal);
    // Not waited for: a write that fails ends the connection, one that hangs has no answer either.
    this.#socket!.write(head, 'latin1');
    return this.#answer(headersMs, signal);
  }

  /**
   * Sends a request with a body of exactly `length` bytes from `source`. An answer that comes early ends the body: the connection is
   * then not reused. An error of `source` closes the connection short of the length, and is thrown as it is.
   */
  async send(
    head: string,
    body: { length: number; source: (sink: ByteSink) => Promise<void> },
    timeouts: { idleMs: number; answerMs: number },
    signal?: AbortSignal,
  ): Promise<ResponseHead> {
    this.begin();
    try {
      this.#aborts.watch(signal);
      await this.#write(Buffer.from(head, 'latin1'), timeouts.idleMs);
      let sent = 0;
      try {
        await body.source(async (chunk) => {
          if (this.#incoming.head !== undefined) throw new EarlyAnswer();
          if (sent + chunk.length > body.length)
            throw new RegistryError('too-large', `more bytes than the ${body.length} announced`);
          await this.#write(chunk, timeouts.idleMs);
          sent += chunk.length;
        });
        if (sent < body.length && this.#incoming.head === undefined) {
          throw new RegistryError('truncated', `the source ended after ${sent} of ${body.length} bytes`, {
            bytesDelivered: sent,
          });
        }
      } catch (error) {
        if (this.#incoming.head === undefined) throw error;
      }
      if (sent < body.length) this.#incoming.spoil();
    } catch (error) {
      throw this.#broken(error, signal);
    }
    return this.#answer(timeouts.answerMs, signal);
  }

  /**
   * Delivers the body of the last answer (`length` bytes, from its Content-Length) to `sink` with back-pressure: the socket is not
   * read while both buffers wait for the sink. Throws `truncated` with the bytes that the sink accepted, `timeout`, `aborted`, or
   * the sink's own error.
   */
  async pump(length: number, sink: ByteSink, options: PumpOptions): Promise<void> {
    const incoming = this.#incoming;
    const { whole } = incoming;
    if (!whole && !incoming.held) throw new RegistryError('aborted', `the body from ${this.#name} is gone`);
    let pump: BodyPump | undefined;
    this.#pumping = true;
    try {
      this.#aborts.watch(options.signal);
      const early = incoming.early(length);
      // A body that came with its head: nothing is awaited of the peer, who may be gone by now.
      if (!whole) this.#beginBody(length - early.length);
      if (this.#failure?.code === 'aborted') throw this.#failure;
      pump = this.#pump = new BodyPump(length, early, sink, this.#bytes(length, options.idleMs));
      pump.drive();
      await pump.done;
      // The last bytes may have come after the socket was told to stop; it has to hear the next answer.
      this.#socket?.resume();
    } catch (thrown) {
      const error = this.#broken(thrown, options.signal);
      if (error === this.#failure && error instanceof RegistryError && error.code !== 'aborted') {
        const bytesDelivered = pump?.delivered ?? 0;
        const code = error.code === 'timeout' ? 'timeout' : 'truncated';
        const message = `${this.#name} stopped after ${bytesDelivered} of ${length} bytes: ${error.message}`;
        throw new RegistryError(code, message, { cause: error, bytesDelivered });
      }
      throw error;
    } finally {
      incoming.bodyOver();
      if (incoming.awaitsBody) this.destroy();
      this.#pumping = false;
      this.#pump = undefined;
      this.#aborts.leave();
      this.#giveBack();
    }
  }

  /** The body under way, as it comes out of the buffers. */
  #bytes(length: number, idleMs: number): PumpSource {
    const silent = (): string =>
      `${this.#name} sent nothing more after ${this.#pump?.delivered ?? 0} of ${length} bytes`;
    return {
      take: () => {
        if (this.#failure?.code === 'aborted') throw this.#failure;
        const chunk = this.#incoming.take();
        if (chunk === undefined && this.#failure !== undefined) throw this.#failure;
        return chunk;
      },
      release: () => {
        if (this.#incoming.release()) this.#socket?.resume();
      },
      lack: () => this.#patience.expect(idleMs, silent),
    };
  }

  #beginBody(rest: number): void {
    const lend = rest <= SMALL_BODY ? nothing : this.#secondBuffer;
    this.#incoming.expectBody(rest, () => this.#firstBuffer(rest), lend);
    if (this.#failure === undefined && !this.#incoming.full) this.#socket?.resume();
  }

  #firstBuffer(rest: number): Buffer {
    if (rest <= SMALL_BODY) return Buffer.allocUnsafe(rest);
    const buffer = this.#pool.borrow();
    this.#lent.push(buffer);
    return buffer;
  }

  readonly #secondBuffer = (): Buffer | undefined => {
    const buffer = this.#pool.tryAnother();
    if (buffer !== undefined) this.#lent.push(buffer);
    return buffer;
  };

  #giveBack(): void {
    for (const buffer of this.#lent) this.#pool.release(buffer);
    this.#lent = [];
  }

  /** Gets ready for the next exchange; `request` and `send` call it. */
  begin(): void {
    if (!this.reusable) throw this.#failure ?? new RegistryError('refused', `connection to ${this.#name} is in use`);
    this.#incoming.expectHead();
  }

  /** The head of the answer under way; whose exchange is over when it has no body. */
  async #answer(timeoutMs: number, signal: AbortSignal | undefined): Promise<ResponseHead> {
    try {
      for (;;) {
        const { head } = this.#incoming;
        if (head !== undefined) {
          if (head.contentLength === 0) this.#aborts.leave();
          return head;
        }
        if (this.#failure !== undefined) throw this.#failure;
        await this.#patience.wait(timeoutMs, () => `${this.#name} did not answer within ${timeoutMs} ms`);
      }
    } catch (error) {
      throw this.#broken(error, signal);
    }
  }

  /** Ends the connection, for what went wrong in an exchange is its last word; gives what is to be thrown. */
  #broken(error: unknown, signal: AbortSignal | undefined): unknown {
    this.destroy();
    return signal?.aborted === true ? abortedError(`request to ${this.#name}`, signal) : error;
  }

  #write(bytes: Buffer, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const timer = setTimeout(() => {
        this.destroy(new RegistryError('timeout', `${this.#name} took nothing for ${timeoutMs} ms`));
      }, timeoutMs);
      this.#socket!.write(bytes, (error) => {
        clearTimeout(timer);
        if (error) reject(this.#failure ?? networkError(`connection to ${this.#name} broke`, error));
        else resolve();
      });
    });
  }

  #fail(error: RegistryError): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#incoming.close();
      this.#socket?.destroy();
      this.#patience.close();
      this.#aborts.leave();
      // What came of a body that is held can still be taken; one that is being read is given back behind its last chunk.
      if (!this.#pumping && !this.#incoming.held) this.#giveBack();
      this.#onClosed();
    }
    this.#stir();
  }

  #stir(): void {
    this.#patience.stir();
    if (this.#incoming.encrypted && this.#failure === undefined) this.#driveBehindRead();
    else this.#pump?.drive();
  }

  /** A TLS socket hands out record by record, 16 KiB each, what one turn of the event loop reads: behind the last of them. */
  #driveBehindRead(): void {
    const pump = this.#pump;
    if (pump === undefined || pump === this.#driven) return;
    this.#driven = pump;
    setImmediate(() => {
      this.#driven = undefined;
      if (pump === this.#pump) pump.drive();
    });
  }
}

class EarlyAnswer extends Error {}

const nothing = (): undefined => undefined;
