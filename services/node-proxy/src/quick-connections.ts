import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { SocketAnswer } from './socket-answer.ts';

/**
 * What becomes of a request head that came in one piece: the whole answer; an answer that is given through `answer()` by and by, until
 * the promise (which never rejects) is settled; undefined: the ordinary way has to look at it.
 */
export type QuickAnswer = (head: Buffer, answer: () => SocketAnswer) => Buffer | Promise<void> | undefined;

export interface QuickConnectionsOptions {
  readonly answer: QuickAnswer;
  /** How long a connection may wait for its next request, and how long a client may take nothing of an answer, ms. */
  readonly idleMs: number;
  readonly clientIdleMs: number;
}

/**
 * Stands before an HTTP server's own handling of connections: as long as every request of a connection can be answered from here, it is;
 * the first one that cannot goes to the server unread, with all that follow on that connection.
 */
export class QuickConnections {
  readonly server: Server;
  readonly options: QuickConnectionsOptions;
  readonly #ordinary: ((socket: Socket) => void)[];
  readonly #connections = new Set<QuickConnection>();

  constructor(server: Server, options: QuickConnectionsOptions) {
    this.server = server;
    this.options = options;
    this.#ordinary = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#connections.add(new QuickConnection(socket, this)));
  }

  /** Ends the connections that were not handed on: those without a request now, the others behind the answer under way. */
  close(): void {
    for (const connection of this.#connections) connection.endSoon();
  }

  /** Cuts what is still under way. */
  cut(): void {
    for (const connection of this.#connections) connection.socket.destroy();
  }

  /** The connection is over, or no longer one of these. */
  left(connection: QuickConnection): void {
    this.#connections.delete(connection);
  }

  /** Gives the connection to the server, with what was read of it. */
  handOn(socket: Socket, read: Buffer): void {
    socket.pause();
    socket.unshift(read);
    for (const ordinary of this.#ordinary) ordinary.call(this.server, socket);
    socket.resume();
  }
}

/** One connection: a request at a time, in the order in which they came. */
class QuickConnection {
  readonly socket: Socket;
  readonly #all: QuickConnections;
  /** The answer under way. */
  #answer: SocketAnswer | undefined;
  #busy = false;
  /** What came meanwhile. */
  #next: Buffer | undefined;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onEnd = (): void => this.#ended();
  readonly #onBroken = (): void => void this.socket.destroy();
  readonly #onClose = (): void => this.#closed();

  constructor(socket: Socket, all: QuickConnections) {
    this.socket = socket;
    this.#all = all;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onBroken);
    socket.on('timeout', this.#onBroken).on('close', this.#onClose);
    socket.setTimeout(all.options.idleMs);
  }

  endSoon(): void {
    if (!this.#busy) this.socket.destroySoon();
  }

  #take(chunk: Buffer): void {
    const { socket } = this;
    if (this.#busy) {
      // A client that asks on before it has its answer: one request at a time, and no more of them in memory than one read.
      socket.pause();
      this.#next = this.#next === undefined ? chunk : Buffer.concat([this.#next, chunk]);
      return;
    }
    const { options, server } = this.#all;
    // A client that does not read its answers gets no more of them from here, and what is being closed says so in its answers.
    const answer =
      socket.writableNeedDrain || !server.listening ? undefined : options.answer(chunk, () => this.#begin());
    if (answer === undefined) return this.#handOn(chunk);
    if (!(answer instanceof Promise)) return void socket.write(answer);
    this.#busy = true;
    void answer.then(() => this.#over());
  }

  #begin(): SocketAnswer {
    this.socket.setTimeout(this.#all.options.clientIdleMs);
    return (this.#answer = new SocketAnswer(this.socket));
  }

  #over(): void {
    const { socket } = this;
    const last = this.#answer?.last === true || !this.#all.server.listening;
    this.#busy = false;
    this.#answer = undefined;
    if (socket.destroyed) return;
    if (last) return this.#end();
    socket.setTimeout(this.#all.options.idleMs);
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    socket.resume();
    this.#take(next);
  }

  /** Behind the last answer: what the kernel has of it still goes out, and to say so first would cost a turn of the event loop. */
  #end(): void {
    const { socket } = this;
    if (socket.writableLength > 0) socket.destroySoon();
    // Behind what the last writes are about to be told.
    else process.nextTick(() => socket.destroy());
  }

  /** The client sends nothing more: it has gone, whatever it was promised (as node:http sees it). */
  #ended(): void {
    if (this.#busy) this.socket.destroy();
    else this.socket.destroySoon();
  }

  #closed(): void {
    this.#all.left(this);
    this.#answer?.gone();
  }

  #handOn(read: Buffer): void {
    const { socket } = this;
    this.#all.left(this);
    socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onBroken);
    socket.off('timeout', this.#onBroken).off('close', this.#onClose);
    socket.setTimeout(0);
    this.#all.handOn(socket, read);
  }
}
