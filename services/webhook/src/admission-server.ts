import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Part } from '@kuik/runtime';
import type { Admission } from './admit.ts';
import { renderAnswer, renderLetThrough, renderRefusal } from './answer.ts';
import { readBody } from './read-body.ts';
import { MalformedReview, readReview, type AdmissionRequest } from './review.ts';

/** Key and certificate chain, PEM. */
export interface ServingCertificate {
  readonly key: string;
  readonly certificate: string;
}

/** How long clients are waited for, ms. */
export interface Patience {
  /** A connection on which no request was ever begun, or whose headers do not end. */
  readonly unusedMs: number;
  /** From the headers to the end of the body. */
  readonly bodyMs: number;
  /** How often unused connections are looked at. */
  readonly checkMs: number;
}

export interface AdmissionServerOptions {
  readonly host: string;
  /** 0 lets the system choose; see `port` afterwards. */
  readonly port: number;
  readonly bodyLimitBytes: number;
  /** The decision; whatever it throws lets the pod through. */
  readonly admit: (request: AdmissionRequest) => Admission;
  /** Called after the answer has been sent. */
  readonly onAnswered: (admission: Admission, ms: number) => void;
  /** The decision failed: the pod went through unchanged. */
  readonly onFailed: (uid: string, error: unknown) => void;
  readonly onRefused: (status: number, message: string) => void;
  readonly patience?: Patience;
}

const JSON_TYPE = 'application/json';
/** Longer than the API server keeps idle connections to webhooks: it, not we, closes them. */
const KEEP_ALIVE_MS = 120_000;
/**
 * Clients in Go, the API server among them, open connections that they then do not need and keep for later: one that were answered 408 just when it
 * is taken into use would be a failed admission.
 */
const PATIENCE: Patience = { unusedMs: KEEP_ALIVE_MS, bodyMs: 10_000, checkMs: 1_000 };

/** POST /mutate over TLS: plain node:https, because a router costs more than the decision. */
export class AdmissionServer implements Part {
  readonly name = 'admission';
  readonly #options: AdmissionServerOptions;
  readonly #server: Server;
  readonly #bodyMs: number;
  #certificate: ServingCertificate | undefined;
  #listening = false;

  constructor(options: AdmissionServerOptions) {
    this.#options = options;
    const { unusedMs, bodyMs, checkMs } = options.patience ?? PATIENCE;
    this.#bodyMs = bodyMs;
    this.#server = createServer(
      {
        keepAliveTimeout: KEEP_ALIVE_MS,
        headersTimeout: unusedMs,
        // Counts from the beginning of an unused connection, too.
        requestTimeout: unusedMs,
        connectionsCheckingInterval: checkMs,
        noDelay: true,
      },
      (request, response) => void this.#serve(request, response),
    );
    // A client that speaks no TLS, or does not know our CA yet, is its own affair.
    this.#server.on('tlsClientError', () => undefined);
  }

  /** The port it listens on; 0 before `start`. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Serves with this certificate from the next connection on. */
  use(certificate: ServingCertificate): void {
    this.#server.setSecureContext({ key: certificate.key, cert: certificate.certificate, minVersion: 'TLSv1.2' });
    this.#certificate = certificate;
  }

  notReady(): string | undefined {
    return this.#certificate === undefined ? 'no serving certificate yet' : undefined;
  }

  async start(): Promise<void> {
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, 'listening');
    this.#listening = true;
  }

  async close(): Promise<void> {
    if (!this.#listening) return;
    this.#listening = false;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    // An answer takes less than a millisecond: what is still open after a second is nobody's.
    const timer = setTimeout(() => this.#server.closeAllConnections(), 1_000);
    await closed;
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      refuseWrongRequest(request);
      const body = await readBody(request, this.#options.bodyLimitBytes, this.#bodyMs);
      const started = performance.now();
      this.#answer(readReview(body), response, started);
    } catch (error) {
      if (!(error instanceof MalformedReview)) return void response.destroy();
      if (error.status === 405) response.setHeader('allow', 'POST');
      if (error.status === 408) response.setHeader('connection', 'close');
      request.resume();
      send(response, error.status, renderRefusal(error.status, error.message));
      this.#options.onRefused(error.status, error.message);
    }
  }

  #answer(request: AdmissionRequest, response: ServerResponse, started: number): void {
    let admission: Admission;
    let answer: string;
    try {
      admission = this.#options.admit(request);
      answer = renderAnswer(admission);
    } catch (error) {
      send(response, 200, renderLetThrough(request.uid));
      this.#options.onFailed(request.uid, error);
      return;
    }
    send(response, 200, answer);
    const ms = performance.now() - started;
    setImmediate(() => this.#options.onAnswered(admission, ms));
  }
}

function refuseWrongRequest(request: IncomingMessage): void {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== '/mutate') throw new MalformedReview(404, 'only /mutate is served here');
  if (request.method !== 'POST')
    throw new MalformedReview(405, `${request.method} is not allowed: POST an AdmissionReview`);
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (type !== JSON_TYPE) throw new MalformedReview(415, `content type "${type.slice(0, 100)}" is not ${JSON_TYPE}`);
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
