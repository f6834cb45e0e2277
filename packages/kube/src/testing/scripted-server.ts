import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { temporaryFolder } from './temporary-folder.ts';

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  /** Monotonic, milliseconds. */
  at: number;
}

/** An API server that does as a test says: for what a real one does too seldom. Plain HTTP on loopback. */
export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  /** A kubeconfig that names it; user fields may be given. */
  kubeconfig(user?: object): Promise<string>;
  readonly requests: readonly Request[];
  readonly watches: readonly Request[];
  readonly lists: readonly Request[];
  /** Connections accepted so far. */
  readonly connections: number;
}

export type Handler = (request: Request, response: ServerResponse) => void;

export async function scriptedServer(handler: Handler): Promise<ScriptedServer> {
  const requests: Request[] = [];
  let connections = 0;
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://server');
    const request: Request = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      at: performance.now(),
    };
    requests.push(request);
    response.on('error', () => undefined);
    incoming.resume();
    handler(request, response);
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = await temporaryFolder();
  let kubeconfigs = 0;
  return {
    url,
    requests,
    get watches() {
      return requests.filter(({ query }) => query.has('watch'));
    },
    get lists() {
      return requests.filter(({ method, query }) => method === 'GET' && !query.has('watch'));
    },
    get connections() {
      return connections;
    },
    kubeconfig: (user = {}) => folder.write(`kubeconfig-${kubeconfigs++}`, kubeconfigText(url, user)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A kubeconfig with one context; JSON is YAML. */
export function kubeconfigText(server: string, user: object, cluster: object = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'here', user: 'me' } }],
    clusters: [{ name: 'here', cluster: { server, ...cluster } }],
    users: [{ name: 'me', user }],
  });
}

/** Answers in JSON. */
export function answer(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** A list of nodes with these names, at a version. */
export function nodeList(resourceVersion: string, names: readonly string[], next?: string): object {
  const metadata = next === undefined ? { resourceVersion } : { resourceVersion, continue: next };
  return { apiVersion: 'v1', kind: 'NodeList', metadata, items: names.map((name) => node(name, resourceVersion)) };
}

export function node(name: string, resourceVersion: string, labels?: Record<string, string>): object {
  return { metadata: { name, uid: `uid-${name}`, resourceVersion, ...(labels === undefined ? {} : { labels }) } };
}

/** One line of a watch. */
export function event(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

/** The refusal of a version that is forgotten. */
export const GONE = {
  kind: 'Status',
  status: 'Failure',
  reason: 'Expired',
  message: 'too old resource version',
  code: 410,
};
