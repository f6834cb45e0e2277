import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { freePort } from '../process/free-port.ts';

/** A PEM certificate (chain) with its key. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Gives the certificate of a server name; it should also hold 127.0.0.1, for clients that come by address. */
export type CertificateSource = (name: string) => Certificate | Promise<Certificate>;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const LARGE = 1 << 20;
const PORT_ATTEMPTS = 20;

/** One loopback port that can be closed, so that connections are refused, and opened again on the same port. */
export class Listener {
  readonly #handler: Handler;
  readonly #tls: { source: CertificateSource; defaultName: string } | undefined;
  readonly #contexts = new Map<string, Promise<SecureContext>>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  /** @param tls without it plain HTTP; the default name is for clients that send no server name */
  constructor(handler: Handler, tls?: { source: CertificateSource; defaultName: string }) {
    this.#handler = handler;
    this.#tls = tls;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** Listens: on a free port first, on the same one afterwards. */
  async open(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = await this.#create();
    for (let attempt = 1; ; attempt++) {
      const port = this.#port === 0 ? await freePort() : this.#port;
      try {
        await listen(server, port);
        break;
      } catch (error) {
        if (this.#port !== 0 || attempt === PORT_ATTEMPTS) throw error;
      }
    }
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Breaks every connection and refuses new ones. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #create(): Promise<Server> {
    const options = { keepAliveTimeout: 120_000, requestTimeout: 0, highWaterMark: LARGE, noDelay: true };
    let server: Server;
    if (this.#tls === undefined) server = createHttp(options, this.#handler);
    else {
      const { source, defaultName } = this.#tls;
      server = createHttps(
        {
          ...options,
          ...(await source(defaultName)),
          SNICallback: (name, done) => {
            this.#context(name).then((context) => {
              done(null, context);
            }, done);
          },
        },
        this.#handler,
      );
    }
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    return server;
  }

  #context(name: string): Promise<SecureContext> {
    let context = this.#contexts.get(name);
    if (context === undefined) {
      context = Promise.resolve(this.#tls!.source(name)).then(createSecureContext);
      this.#contexts.set(name, context);
    }
    return context;
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
