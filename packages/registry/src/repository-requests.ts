import { codeOfStatus, describeUrl, RegistryError } from './errors.ts';
import { parseRateLimit, parseRetryAfter, quotaIdentity } from './response-limits.ts';
import { keepsAuthorization } from './same-trust.ts';
import type { Attempt, Authorizer, Need, RegistrySite } from './authorizer.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
import type { RawClient, RawRequest, RawResponse } from './raw-client.ts';
import type { RateLimit, RegistryEndpoint } from './port.ts';

const MAX_REDIRECTS = 5;
/** Ids may come from others: nothing else goes into a header. */
const REQUEST_ID = /^[\w.-]{1,128}$/;
const ERROR_BODY_MAX = 64 * 1024;
const BLOB_URLS = new Map<string, URL>();
const BLOB_URLS_MAX = 500;

/** One request that ended, for metrics. */
export interface RegistryEvent {
  host: string;
  operation: Operation;
  status?: number;
  code?: string;
  ms: number;
  /** Of a registry of others that answered; absent for our cache. */
  upstream?: UpstreamWord;
}

/** What a registry told of its limits while it answered something else. */
export interface UpstreamWord {
  /** Whom it counts the request for: an opaque hash of what it calls us, else `anonymous` or `credential`. */
  identity: string;
  /** No credential was shown. */
  anonymous: boolean;
  /** Of the credential that was shown, when it names one. */
  account?: string;
  rateLimit?: RateLimit;
  retryAfterMs?: number;
}

export type Operation =
  | 'manifest-head'
  | 'manifest-get'
  | 'manifest-put'
  | 'blob-head'
  | 'blob-get'
  | 'tags'
  | 'referrers'
  | 'tag-delete'
  | 'upload';

/** What the methods of one repository share. */
export interface RepositoryContext {
  host: string;
  repository: string;
  site: RegistrySite;
  auth: Authorizer;
  http: HttpClient;
  raw: RawClient;
  manifestMaxBytes: number;
  now: () => number;
  observe: ((event: RegistryEvent) => void) | undefined;
  /** Told to the registry, see OpenOptions. */
  requestId: string | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
  /** The settings of any host, for redirects. */
  endpointFor(url: URL): RegistryEndpoint;
}

interface Answer {
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  discard(): void;
}

interface Call {
  operation: Operation;
  need: Need;
  signal?: AbortSignal | undefined;
  /** Hears of each redirect that is followed. */
  onSentOn?: ((to: URL) => void) | undefined;
}

/** The requests of one repository: authorised, redirected by hand (GET and HEAD), judged by the caller. */
export class RepositoryRequests {
  readonly context: RepositoryContext;
  /** By whose right upstream gave an answer. */
  readonly #attempts = new WeakMap<Answer, Attempt>();

  constructor(context: RepositoryContext) {
    this.context = context;
  }

  /** `/v2/<repository>/<path>` at the registry. */
  url(path: string): URL {
    return new URL(`/v2/${this.context.repository}/${path}`, this.context.site.base);
  }

  /** Of a blob: the same object for one that is asked for again, which nobody may change. */
  blobUrl(digest: string): URL {
    const { site, repository } = this.context;
    const key = `${site.base.href}${repository}@${digest}`;
    const known = BLOB_URLS.get(key);
    if (known !== undefined) return known;
    const url = this.url(`blobs/${digest}`);
    if (BLOB_URLS.size >= BLOB_URLS_MAX) BLOB_URLS.clear();
    BLOB_URLS.set(key, url);
    return url;
  }

  /** A small request. */
  send(call: Call, request: Omit<HttpRequest, 'signal'>): Promise<HttpResponse> {
    const follows = request.method === 'GET' || request.method === 'HEAD';
    return this.#authorised(call, request.url, follows, (url, header) =>
      this.context.http.request({
        ...request,
        url,
        headers: this.#headers(url, request.headers, header),
        signal: call.signal,
      }),
    );
  }

  /** A blob read; its body stays in the socket until it is pumped. */
  read(call: Call, request: { url: URL; headers: Record<string, string> }): Promise<RawResponse> {
    return this.#authorised(call, request.url, true, (url, header) =>
      this.context.raw.request({
        method: 'GET',
        url,
        headers: this.#headers(url, request.headers, header),
        signal: call.signal,
      }),
    );
  }

  /** A request whose body can be sent once only: one attempt, with the authorisation that worked for this repository before. */
  async write(call: Call, request: RawRequest): Promise<RawResponse> {
    const started = performance.now();
    try {
      const { header } = await this.context.auth.first(call.need, call.signal);
      const answer = await this.context.raw.request({
        ...request,
        headers: this.#headers(request.url, request.headers, header),
      });
      this.#observe(call, started, { status: answer.status });
      return answer;
    } catch (error) {
      this.#observe(call, started, { code: error instanceof RegistryError ? error.code : 'source' });
      throw error;
    }
  }

  /** The error for an answer that is not what was asked for; reads what the registry says about it (`errors[]`). */
  async failure(doing: string, answer: Answer & { read?: unknown }): Promise<RegistryError> {
    const { said, words } = errorOf(await bodyOf(answer as HttpResponse | RawResponse));
    const retryAfterMs = parseRetryAfter(answer.header('retry-after'), this.context.now());
    const rateLimit = parseRateLimit((name) => answer.header(name));
    const { anonymous, account } = this.#attempts.get(answer) ?? {};
    return new RegistryError(codeOfStatus(answer.status), `${doing}: status ${answer.status}${words}`, {
      status: answer.status,
      ...(said === undefined ? {} : { said }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(rateLimit === undefined ? {} : { rateLimit }),
      ...(anonymous === undefined ? {} : { askedAs: account === undefined ? {} : { account } }),
    });
  }

  #headers(
    url: URL,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
  ): Record<string, string> {
    const { requestId, site } = this.context;
    const home = url.host === site.base.host;
    const all = home ? { ...headers, ...this.context.headers } : { ...headers };
    if (authorization !== undefined) all['authorization'] = legalHeader(authorization);
    if (home && requestId !== undefined && REQUEST_ID.test(requestId)) all['x-request-id'] = requestId;
    return all;
  }

  /** `follows`: redirects are followed. */
  async #authorised<A extends Answer>(
    call: Call,
    url: URL,
    follows: boolean,
    send: (url: URL, header: string | undefined) => Promise<A>,
  ): Promise<A> {
    const started = performance.now();
    try {
      const first = this.context.auth.first(call.need, call.signal);
      let attempt = first instanceof Promise ? await first : first;
      for (;;) {
        let answer = await send(url, attempt.header);
        if (follows && isRedirect(answer)) answer = await this.#following(call, url, attempt.header, answer, send);
        // What a redirect's target refuses says nothing about our credential: it did not get it.
        const home = answer.url.host === this.context.site.base.host;
        const refused = home && (answer.status === 401 || answer.status === 403);
        if (!refused) this.context.auth.accepted(attempt);
        const next = refused ? await this.#next(attempt, answer, call.signal) : undefined;
        if (next === undefined) {
          this.#observe(call, started, { status: answer.status, ...this.#told(attempt, answer) });
          if (answer.status >= 400) this.#attempts.set(answer, attempt);
          return answer;
        }
        answer.discard();
        attempt = next;
      }
    } catch (error) {
      this.#observe(call, started, { code: error instanceof RegistryError ? error.code : 'internal' });
      throw error;
    }
  }

  async #next(attempt: Attempt, answer: Answer, signal: AbortSignal | undefined): Promise<Attempt | undefined> {
    const refusal = { status: answer.status, challenges: answer.headers('www-authenticate') };
    try {
      return await this.context.auth.next(attempt, refusal, signal);
    } catch (error) {
      answer.discard();
      throw error;
    }
  }

  async #following<A extends Answer>(
    { onSentOn }: Call,
    start: URL,
    authorization: string | undefined,
    first: A,
    send: (url: URL, header: string | undefined) => Promise<A>,
  ): Promise<A> {
    let url = start;
    let header = authorization;
    let answer = first;
    for (let hop = 0; isRedirect(answer); hop += 1) {
      answer.discard();
      if (hop >= MAX_REDIRECTS)
        throw new RegistryError('invalid-response', `${this.context.host} redirects more than ${MAX_REDIRECTS} times`);
      const to = this.#redirectTarget(url, answer.header('location')!);
      // Once a header is dropped it stays dropped: a chain may come back to look like home.
      if (header !== undefined && !keepsAuthorization(this.context.site.base, to, this.context.site.endpoint))
        header = undefined;
      url = to;
      onSentOn?.(to);
      answer = await send(url, header);
    }
    return answer;
  }

  #redirectTarget(from: URL, location: string): URL {
    if (!URL.canParse(location, from.href))
      throw new RegistryError('invalid-response', `${this.context.host} redirects to no URL`);
    const to = new URL(location, from);
    const plain =
      to.protocol === 'http:' && (from.protocol === 'http:' || this.context.endpointFor(to).plainHTTP === true);
    if ((to.protocol !== 'https:' && !plain) || to.username !== '' || to.password !== '') {
      throw new RegistryError(
        'untrusted-host',
        `${this.context.host} redirects to ${describeUrl(to)}, which is not encrypted`,
      );
    }
    return to;
  }

  #told({ anonymous, account }: Attempt, answer: Answer): Pick<RegistryEvent, 'upstream'> {
    if (anonymous === undefined || this.context.observe === undefined) return {};
    const rateLimit = parseRateLimit((name) => answer.header(name));
    const retryAfterMs = parseRetryAfter(answer.header('retry-after'), this.context.now());
    const upstream: UpstreamWord = {
      identity: quotaIdentity(answer.header('docker-ratelimit-source'), anonymous),
      anonymous,
      ...(account === undefined ? {} : { account }),
      ...(rateLimit === undefined ? {} : { rateLimit }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
    return { upstream };
  }

  #observe(call: Call, started: number, outcome: Pick<RegistryEvent, 'status' | 'code' | 'upstream'>): void {
    const { observe, host } = this.context;
    observe?.({ host, operation: call.operation, ms: performance.now() - started, ...outcome });
  }
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function isRedirect(answer: Answer): boolean {
  return REDIRECTS.has(answer.status) && answer.header('location') !== undefined;
}

function legalHeader(header: string): string {
  if (/^[\x20-\x7e]+$/.test(header)) return header;
  throw new RegistryError('rejected', 'the credential holds characters that no header may hold');
}

async function bodyOf(answer: HttpResponse | RawResponse): Promise<Buffer | undefined> {
  try {
    return 'readSmall' in answer ? await answer.readSmall() : await answer.read(ERROR_BODY_MAX);
  } catch {
    answer.discard();
    return undefined;
  }
}

/** The first code of a spec-shaped error body, and `, TOOMANYREQUESTS: ...` in words, printable and short. */
function errorOf(body: Buffer | undefined): { said?: string; words: string } {
  if (body === undefined || body.length === 0) return { words: '' };
  try {
    const { errors } = JSON.parse(body.toString('utf8')) as { errors?: { code?: unknown; message?: unknown }[] };
    const { code, message } = errors?.[0] ?? {};
    const words = [code, message].filter((word) => typeof word === 'string' && word !== '').join(': ');
    return {
      ...(typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code) ? { said: code } : {}),
      words: words === '' ? '' : `, ${words.replace(/[^\x20-\x7e]/g, ' ').slice(0, 200)}`,
    };
  } catch {
    return { words: '' };
  }
}
