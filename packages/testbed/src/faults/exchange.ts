import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Backing } from './backing.ts';
import { decodeRepositoryHost } from './backing-name.ts';
import type { RequestFacts } from './decide.ts';
import type { Hosts } from './hosts.ts';
import type { RequestLog, RequestPen, RequestRecord } from './request-log.ts';
import { routeOf, type Route, type Target } from './route.ts';
import type { RuleBook } from './rule-book.ts';
import type { Reply } from './scripted-reply.ts';
import type { Tokens } from './tokens.ts';

/** What a request is served with. */
export interface Serving {
  readonly hosts: Hosts;
  readonly book: RuleBook;
  readonly log: RequestLog;
  readonly tokens: Tokens;
  readonly backing: Backing;
  /** What is being served now. */
  readonly open: Set<Exchange>;
  /** Host to which blobs are redirected when a rule names none. */
  readonly origin: string;
  readonly now: () => number;
  /** Base URL of a host in the client's terms. */
  readonly urlOf: (host: string, byName: boolean) => string;
}

/** One request on its way through the proxy. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly route: Route;
  /** The host whose content is asked for: not the asked host at a blob origin. */
  readonly contentHost: string;
  readonly facts: RequestFacts;
  readonly query: URLSearchParams;
  readonly pen: RequestPen;
  /** Fires when the client's connection is gone. */
  readonly gone: AbortSignal;
}

/** Takes a request apart and notes its arrival. */
export function openExchange(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
  query: URLSearchParams,
): Exchange {
  const origin = /^\/origin\/([^/]+)(\/v2\/.*)$/.exec(target.path);
  const contentHost = origin === null ? target.host : decodeRepositoryHost(origin[1]!);
  const route = routeOf(origin?.[2] ?? target.path);
  const facts = { host: target.host, method: request.method ?? 'GET', ...route };
  const { range, accept, authorization } = request.headers;
  const pen = serving.log.arrived({
    atMs: serving.now(),
    ...facts,
    path: splitOnce(request.url ?? '/', '?')[0],
    ...(range === undefined ? {} : { range }),
    ...(accept === undefined ? {} : { accept }),
    auth: authScheme(authorization),
    headers: Object.keys(request.headers),
    ...(typeof request.headers['x-request-id'] === 'string' ? { requestId: request.headers['x-request-id'] } : {}),
  });
  const gone = new AbortController();
  const exchange = { request, response, target, route, contentHost, facts, query, pen, gone: gone.signal };
  serving.open.add(exchange);
  response.on('close', () => {
    pen.ended(response.writableFinished ? 'done' : 'aborted');
    gone.abort();
    serving.open.delete(exchange);
  });
  response.on('error', () => undefined);
  return exchange;
}

/** Sends a whole answer and notes it. */
export function reply(exchange: Exchange, whole: Reply): void {
  const { pen, request, response } = exchange;
  pen.answered(whole.status);
  if (request.method !== 'HEAD') pen.sent(Buffer.byteLength(whole.body));
  sendReply(response, whole);
}

/** Sends a whole answer. */
export function sendReply(response: ServerResponse, { status, headers, body }: Reply): void {
  response.req.resume();
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

function authScheme(authorization: string | undefined): RequestRecord['auth'] {
  if (authorization === undefined) return 'none';
  const scheme = authorization.split(' ')[0]!.toLowerCase();
  return scheme === 'basic' || scheme === 'bearer' ? scheme : 'other';
}

/** The text before and after the first separator. */
export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
