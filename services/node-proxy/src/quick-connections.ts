import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The whole answer to a request head that came in one piece; undefined: the ordinary way has to look at it. */
export type QuickAnswer = (head: Buffer) => Buffer | undefined;

/**
 * Stands before an HTTP server's own handling of connections: as long as every request of a connection can be answered at once, it is;
 * the first one that cannot goes to the server unread, with all that follows on that connection.
 */
export class QuickConnections {
  readonly #server: Server;
  readonly #answer: QuickAnswer;
  readonly #idleMs: number;
  readonly #ordinary: ((socket: Socket) => void)[];
  readonly #sockets = new Set<Socket>();

  constructor(server: Server, answer: QuickAnswer, idleMs: number) {
    this.#server = server;
    this.#answer = answer;
    this.#idleMs = idleMs;
    this.#ordinary = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#take(socket));
  }

  /** Ends the connections that were not handed on: each has its answer. */
  close(): void {
    for (const socket of this.#sockets) socket.destroySoon();
  }

  #take(socket: Socket): void {
    const sockets = this.#sockets;
    const over = (): void => socket.destroySoon();
    const broken = (): void => void socket.destroy();
    const data = (chunk: Buffer): void => {
      // A client that does not read its answers gets no more of them from here, and what is being closed says so in its answers.
      const answer = socket.writableNeedDrain || !this.#server.listening ? undefined : this.#answer(chunk);
      if (answer !== undefined) return void socket.write(answer);
      leave();
      socket.pause();
      socket.unshift(chunk);
      for (const ordinary of this.#ordinary) ordinary.call(this.#server, socket);
      socket.resume();
    };
    const leave = (): void => {
      sockets.delete(socket);
      socket.off('data', data).off('end', over).off('error', broken).off('timeout', broken).off('close', leave);
      socket.setTimeout(0);
    };
    sockets.add(socket);
    socket.on('data', data).on('end', over).on('error', broken).on('timeout', broken).on('close', leave);
    socket.setTimeout(this.#idleMs);
  }
}
