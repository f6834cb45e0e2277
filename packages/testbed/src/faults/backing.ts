import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { encodeRepository } from './backing-name.ts';
import { rawGet, type BackingAnswer } from './raw-get.ts';
import type { Route } from './route.ts';

/** Headers that belong to one connection, not to the message (RFC 9110 §7.6.1). */
const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
]);
/** Answers that are read whole because they name the repository: errors and lists. */
const TEXT_MAX = 4 << 20;

export interface BackingRequest {
  readonly host: string;
  readonly method: string;
  /** The host's own path with query. */
  readonly path: string;
  readonly route: Route;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Body of the client's request, when it has one. */
  readonly body?: IncomingMessage;
}

/** The real registry behind every name; each name has its own part of its repositories. */
export class Backing {
  readonly url: URL;
  readonly #prefix: string;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 32 });

  /** @param prefix repository prefix that several proxies use to share one registry, without slashes at its ends */
  constructor(url: string, prefix = '') {
    this.url = new URL(url);
    this.#prefix = prefix;
  }

  /** Where the registry really keeps a host's repository. */
  repository(host: string, repository: string): string {
    return encodeRepository(this.#prefix, host, repository);
  }

  /** Asks the registry. `text` answers (errors, lists) come whole, with the host's own repository names in them. */
  async ask(request: BackingRequest): Promise<BackingAnswer & { text?: string }> {
    const url = this.#urlOf(request);
    const headers = forwarded(request.headers);
    const blob = request.method === 'GET' && request.route.kind === 'blob';
    const answer = blob ? await rawGet(url, headers) : await this.#ask(url, request, headers);
    const location = answer.headers['location'];
    const link = answer.headers['link'];
    const own = {
      ...answer,
      headers: {
        ...endToEnd(answer.headers),
        ...(location === undefined ? {} : { location: this.#ownPath(request, location) }),
        ...(link === undefined ? {} : { link: this.#ownNames(request, link) }),
      },
    };
    if (request.method === 'HEAD' || (answer.status < 400 && request.route.kind !== 'tags')) return own;
    const chunks: Buffer[] = [];
    let size = 0;
    await answer.deliver((chunk) => {
      size += chunk.length;
      if (size > TEXT_MAX) throw new Error('a text answer of the registry is longer than 4 MiB');
      chunks.push(Buffer.from(chunk));
      return undefined;
    });
    return { ...own, text: this.#ownNames(request, Buffer.concat(chunks).toString()) };
  }

  close(): void {
    this.#agent.destroy();
  }

  #urlOf({ host, path, route }: BackingRequest): URL {
    if (route.repository === undefined) return new URL(path, this.url);
    const real = `/v2/${this.repository(host, route.repository)}/`;
    const url = new URL(
      path.replace(`/v2/${route.repository}/`, () => real),
      this.url,
    );
    const from = url.searchParams.get('from');
    if (from !== null) url.searchParams.set('from', this.repository(host, from));
    return url;
  }

  /** A Location of the registry as a path on the host. */
  #ownPath(request: BackingRequest, location: string): string {
    const url = new URL(location, this.url);
    return this.#ownNames(request, `${url.pathname}${url.search}`);
  }

  #ownNames({ host, route }: BackingRequest, text: string): string {
    if (route.repository === undefined) return text;
    return text.replaceAll(this.repository(host, route.repository), route.repository);
  }

  #ask(url: URL, request: BackingRequest, headers: Record<string, string>, again = false): Promise<BackingAnswer> {
    const { method, body } = request;
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(url, { method, headers, agent: this.#agent }, (incoming) => {
        resolve({
          status: incoming.statusCode ?? 502,
          headers: plain(incoming.headers),
          deliver: async (sink) => {
            for await (const chunk of incoming as AsyncIterable<Buffer>) await sink(chunk);
            if (!incoming.complete) throw new Error('the registry broke off');
          },
          cancel: () => incoming.destroy(),
        });
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        // A kept connection that the registry closed meanwhile: not the client's fault, and nothing was sent.
        if (!again && body === undefined && outgoing.reusedSocket && error.code === 'ECONNRESET') {
          resolve(this.#ask(url, request, headers, true));
        } else reject(error);
      });
      if (body === undefined) outgoing.end();
      else {
        body.on('close', () => {
          if (!body.complete) outgoing.destroy(new Error('the client broke off'));
        });
        body.pipe(outgoing);
      }
    });
  }
}

/** What of the client's headers goes on. The registry is ours and open: credentials stay here. */
function forwarded(headers: BackingRequest['headers']): Record<string, string> {
  const kept = plain(headers);
  for (const name of ['authorization', 'accept-encoding', 'expect']) delete kept[name];
  return endToEnd(kept);
}

function endToEnd(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_HEADERS.has(name)));
}

function plain(headers: BackingRequest['headers']): Record<string, string> {
  const entries = Object.entries(headers).filter(
    (entry): entry is [string, string | string[]] => entry[1] !== undefined,
  );
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'string' ? value : value.join(', ')]),
  );
}
