import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { KEEP_ALIVE_MS } from './answer.ts';
import { errorAnswer } from './error-answer.ts';
import { PullFailure } from './failure.ts';
import { type ListenAddress, listenOn } from './listen.ts';
import { type QuickAnswer, QuickConnections } from './quick-connections.ts';

export type PullHandler = (request: IncomingMessage, response: ServerResponse) => void;

export interface PullServerOptions {
  readonly listen: readonly ListenAddress[];
  readonly handle: PullHandler;
  /** Answers what needs no HTTP parser. */
  readonly quick: QuickAnswer;
  /** How long a client may take nothing of such an answer, ms. */
  readonly clientIdleMs: number;
  /** How long running transfers may go on after `close`. */
  readonly drainMs: number;
}

const HEAD_TIMEOUT_MS = 10_000;
/** The face towards the node: HTTP/1.1 on each of the addresses, one answer for whatever node:http refuses by itself. */
export class PullServer {
  readonly name = 'pulls';
  readonly #options: PullServerOptions;
  readonly #servers: Server[] = [];
  readonly #quick: QuickConnections[] = [];
  readonly #taken: ListenAddress[] = [];

  constructor(options: PullServerOptions) {
    this.#options = options;
  }

  /** Where it listens; empty before `start`. */
  get addresses(): readonly ListenAddress[] {
    return this.#taken;
  }

  async start(): Promise<void> {
    const { listen } = this.#options;
    for (const address of listen) {
      const server = this.#server();
      const taken = await listenOn(server, address);
      if (taken === undefined) continue;
      this.#servers.push(server);
      this.#taken.push(taken);
    }
    if (this.#taken.length === 0) {
      throw new Error(`this node has none of the addresses ${listen.map(({ host }) => host).join(', ')}`);
    }
  }

  notReady(): string | undefined {
    return this.#taken.length === 0 ? 'does not listen' : undefined;
  }

  /** Stops accepting, waits for running transfers, then cuts what is left. */
  async close(): Promise<void> {
    const closed = Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    for (const quick of this.#quick) quick.close();
    const cut = setTimeout(() => {
      for (const quick of this.#quick) quick.cut();
      for (const server of this.#servers) server.closeAllConnections();
    }, this.#options.drainMs);
    await closed;
    clearTimeout(cut);
  }

  #server(): Server {
    const { handle, quick, clientIdleMs } = this.#options;
    const server = createServer({
      // A request head that dribbles in is cut; a body is never read.
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
      highWaterMark: 16 * 1024,
    });
    const serve: PullHandler = (request, response) => {
      if (!server.listening) response.shouldKeepAlive = false;
      handle(request, response);
    };
    server.on('request', serve);
    // A writer that waits for "100 Continue" is told no at once.
    server.on('checkContinue', serve);
    server.on('checkExpectation', serve);
    server.on('connect', (_request: IncomingMessage, socket: Socket) => refuse(socket, 'readOnly', 'CONNECT'));
    server.on('upgrade', (_request: IncomingMessage, socket: Socket) => refuse(socket, 'routeUnknown', 'an upgrade'));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
      refuse(
        socket,
        'nameInvalid',
        error.code === 'HPE_HEADER_OVERFLOW' ? 'the request head is too large' : 'this is not HTTP/1.1',
      );
    });
    this.#quick.push(new QuickConnections(server, { answer: quick, idleMs: KEEP_ALIVE_MS, clientIdleMs }));
    return server;
  }
}

/** Answers on a socket that node:http has given up, with the same body as every other error. */
function refuse(socket: Socket, failure: 'readOnly' | 'routeUnknown' | 'nameInvalid', what: string): void {
  const { status, headers, body } = errorAnswer(new PullFailure(failure, what), { requestId: 'none' });
  const lines = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${body.toString()}`);
}
