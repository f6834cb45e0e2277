import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { keepReferrer, subjectOf } from './kept-referrers.ts';

/** The registry that takes what is pushed. */
export interface Behind {
  readonly url: string;
  /** Left out of the names that the registry knows: what a node proxy calls `<host>/app` is `app` there. */
  readonly withoutHost?: string;
  readonly authorization?: () => string;
}

/** What one registry is made of: a node proxy that answers GET and HEAD, and the registry behind it for the rest. */
export interface Front {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** How many requests each side answered. */
  readonly asked: { proxy: number; behind: number };
  close(): Promise<void>;
}

/**
 * One address for a client that pushes and pulls. An upload is the registry's in all its requests. A registry without the referrers API leaves
 * the list to whoever pushes (distribution spec, "Pushing Manifests with Subject"); this client takes it for done, so it is done here.
 */
export async function startFront(proxyUrl: string, behind: Behind): Promise<Front> {
  const asked = { proxy: 0, behind: 0 };
  const strip = behind.withoutHost === undefined ? '' : `${behind.withoutHost}/`;
  const inner = (target: string): string =>
    target.replace(`/v2/${strip}`, '/v2/').replace(`from=${encodeURIComponent(strip)}`, 'from=');
  const outer = (location: string): string => location.replace('/v2/', `/v2/${strip}`);

  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '/' } = incoming;
    const reads = (method === 'GET' || method === 'HEAD') && !url.includes('/blobs/uploads/');
    asked[reads ? 'proxy' : 'behind'] += 1;
    const answer = reads ? pass(incoming, outgoing, new URL(url, proxyUrl), {}) : write(incoming, outgoing);
    answer.catch((error: unknown) => outgoing.destroy(error as Error));
  });
  await listen(server);
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function write(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const target = inner(incoming.url!);
    const headers = behind.authorization === undefined ? {} : { authorization: behind.authorization() };
    const manifest = /^\/v2\/(.+)\/manifests\/[^/]+$/.exec(target)?.[1];
    const url = new URL(target, behind.url);
    if (incoming.method !== 'PUT' || manifest === undefined) return pass(incoming, outgoing, url, headers, outer);
    const bytes = await bodyOf(incoming);
    const subject = subjectOf(bytes);
    await pass(incoming, outgoing, url, headers, outer, bytes, async (status) => {
      if (status !== 201 || subject === undefined) return;
      await keepReferrer(new URL(`/v2/${manifest}/`, behind.url), headers, { bytes, subject });
      outgoing.setHeader('OCI-Subject', subject);
    });
  }
}

/** Passes one request on and its answer back; `before` runs when the answer's head is there. */
async function pass(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  url: URL,
  added: Readonly<Record<string, string>>,
  location: (text: string) => string = (text) => text,
  bytes?: Buffer,
  before?: (status: number) => Promise<void>,
): Promise<void> {
  const { host: _host, connection: _connection, ...headers } = incoming.headers;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(url, { method: incoming.method!, headers: { ...headers, ...added } }, resolve);
    request.on('error', reject);
    if (bytes === undefined) incoming.pipe(request);
    else request.end(bytes);
  });
  await before?.(answer.statusCode!);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (name === 'connection' || name === 'keep-alive' || value === undefined) continue;
    outgoing.setHeader(name, name === 'location' ? location(String(value)) : value);
  }
  outgoing.writeHead(answer.statusCode!);
  answer.on('error', (error) => outgoing.destroy(error));
  answer.pipe(outgoing);
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', reject).listen(0, '127.0.0.1', () => resolve());
  });
}
