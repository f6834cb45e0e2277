import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** What a client without any cleverness got. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the whole body came. */
  readonly complete: boolean;
  /** Milliseconds from the request to the end. */
  readonly ms: number;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
  readonly ca?: string;
  /** TLS server name. */
  readonly servername?: string;
  /** Hears the bytes received so far after every piece. */
  readonly onBytes?: (total: number) => void;
  readonly signal?: AbortSignal;
}

/** One request on a new connection: follows nothing, retries nothing. Rejects when the connection breaks before an answer. */
export function raw(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { method = 'GET', headers = {}, body, ca, servername, onBytes, signal } = options;
  const began = performance.now();
  return new Promise((resolve, reject) => {
    let answered = false;
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const outgoing = send(
      url,
      {
        method,
        headers,
        agent: false,
        ...(ca ? { ca } : {}),
        ...(servername ? { servername } : {}),
        ...(signal ? { signal } : {}),
      },
      (incoming) => {
        answered = true;
        const chunks: Buffer[] = [];
        let total = 0;
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          total += chunk.length;
          onBytes?.(total);
        });
        incoming.on('error', () => undefined);
        incoming.on('close', () => {
          const { statusCode = 0, headers: got, complete } = incoming;
          resolve({
            status: statusCode,
            headers: got,
            body: Buffer.concat(chunks),
            complete,
            ms: performance.now() - began,
          });
        });
      },
    );
    outgoing.on('error', (error) => {
      if (!answered) reject(error);
    });
    outgoing.end(body);
  });
}
