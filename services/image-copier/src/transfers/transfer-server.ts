import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';
import { RegistryError, type OpenBlob } from '@kuik/registry';
import type { Part } from '@kuik/runtime';
import type { ReaderTokens } from './reader-token.ts';
import { parseTransferRequest, redirectTo, type TransferRequest } from './transfer-request.ts';
import { NoRoom } from './admission.ts';
import type { Transfers } from './transfers.ts';

/** What a reader got: label `result` of `kuik_transfer_joins_total`. */
export type JoinResult = 'joined' | 'redirected' | 'refused' | 'noRoom' | 'silent' | 'failed' | 'denied' | 'malformed';

export interface TransferServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Names this process to whoever asks whether it is still the one that they know. */
  readonly instance: string;
  /** Absent: everybody may read, as in a stack without keys. */
  readonly tokens: Pick<ReaderTokens, 'refusal' | 'issuer'> | undefined;
  /** Issuer of copiers' tokens: they alone are shown what was left here, without proof of the asker's right. */
  readonly copiers: string | undefined;
  readonly transfers: Pick<Transfers, 'join' | 'left'>;
  /** A reader that takes nothing for this long is gone. */
  readonly idleMs: number;
  readonly count: (result: JoinResult) => void;
  readonly onSent: (bytes: number) => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

/** What upstream said of a reader's request, passed on as it is; anything else is 502: the reader may fare better by itself. */
const SAID = new Set([401, 403, 404, 416, 429]);

/** Gives away what this process reads from upstream: the distribution API for blobs, to holders of our own keys. */
export class TransferServer implements Part {
  readonly name = 'transfers';
  readonly #options: TransferServerOptions;
  #server: Server | undefined;

  constructor(options: TransferServerOptions) {
    this.#options = options;
  }

  /** The port it listens on; 0 before `start`. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null | undefined)?.port ?? 0;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options.listen;
    const server = createServer((request, response) => void this.#handle(request, response));
    server.keepAliveTimeout = 60_000;
    server.listen(port, host);
    await once(server, 'listening');
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { tokens, transfers, count, now, log } = this.#options;
    const answer = (status: number, result: JoinResult | undefined, headers: Record<string, string> = {}): void => {
      if (result !== undefined) count(result);
      response.writeHead(status, { 'content-length': '0', ...headers }).end();
    };
    if (request.url === '/v2/') return answer(200, undefined, { [TRANSFER_INSTANCE_HEADER]: this.#options.instance });
    const asked = parseTransferRequest(request.method, request.url, request.headers);
    if (asked === undefined) return answer(400, 'malformed');
    const refusal = tokens?.refusal(request.headers.authorization, asked.repository, now());
    if (refusal !== undefined) {
      log.warn('reader of a transfer turned away', { repository: asked.repository, why: refusal });
      // Not 401: that would be upstream's word.
      return answer(503, 'denied');
    }
    const requestId = request.headers['x-request-id'];
    const { access } = asked;
    try {
      if (access === 'left') {
        const ours = tokens === undefined || tokens.issuer(request.headers.authorization) === this.#options.copiers;
        const blob = ours ? await transfers.left(asked) : undefined;
        if (blob === undefined) return answer(404, 'refused');
        count('joined');
        return await this.#deliver(blob, asked, response);
      }
      const joined = await transfers.join({
        ...asked,
        access,
        // A range alone says nothing about the rest being wanted.
        store: asked.end === undefined,
        requestId: typeof requestId === 'string' ? requestId : undefined,
      });
      if ('at' in joined) return answer(307, 'redirected', { location: redirectTo(joined.at, asked) });
      count('joined');
      await this.#deliver(joined.blob, asked, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      if (error instanceof NoRoom) return answer(507, 'noRoom');
      const status = error instanceof RegistryError ? (error.status ?? 502) : 502;
      if (!(error instanceof RegistryError)) log.warn('transfer failed', { digest: asked.digest, error });
      // Not a word of upstream's, and none of ours: there is none. Who is spared already costs the reader no time.
      if (error instanceof RegistryError && error.code === 'timeout') return answer(504, 'silent');
      if (!SAID.has(status)) return answer(502, 'failed');
      const afterMs = (error as RegistryError).retryAfterMs;
      answer(status, 'refused', afterMs === undefined ? {} : { 'retry-after': String(Math.ceil(afterMs / 1000)) });
    }
  }

  async #deliver(blob: OpenBlob, asked: TransferRequest, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.setTimeout(this.#options.idleMs, () => response.destroy());
    if (response.destroyed) return blob.cancel();
    const { totalSize, offset, length } = blob;
    response.writeHead(asked.ranged ? 206 : 200, {
      'content-type': blob.contentType,
      'content-length': String(length),
      ...(asked.ranged ? { 'content-range': `bytes ${offset}-${offset + length - 1}/${totalSize}` } : {}),
    });
    // Its reader knows now that it is served, however long the first byte takes.
    response.flushHeaders();
    await blob.deliver((chunk) => {
      this.#options.onSent(chunk.length);
      return new Promise((resolve, reject) => {
        response.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }, gone.signal);
    response.end();
  }
}

/** The address that others reach a listener at when nobody says: its own, else the machine's first one that is not loopback. */
export function ownAddress(host: string, port: number): string {
  const any = host === '0.0.0.0' || host === '::';
  const found = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  const name = any ? (found?.address ?? '127.0.0.1') : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
