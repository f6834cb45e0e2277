import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AuthPolicy } from './access.ts';
import type { FaultProxy } from './fault-proxy.ts';
import { InvalidRule, parseRule } from './parse-rule.ts';
import type { RequestFilter } from './request-log.ts';

/** The proxy's switchboard by HTTP, for people with curl and for other processes. */
export interface ControlServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  close(): Promise<void>;
}

type Outcome = { status: number; body?: unknown };

const HELP = `kube-image-keeper fault proxy

GET    /rules                       rules in force, with how often each applied
POST   /rules                       {"host":"docker.io","match":{"kind":"blob"},"fault":{"do":"cut","atByte":1000},"times":2}
DELETE /rules[?host=docker.io]      all of them; /rules/<id> one
GET    /counts[?host=&kind=&method=&status=]     DELETE /counts forgets
GET    /requests[?host=&kind=&method=&status=]   the last requests
GET    /hosts                       names, addresses, up or down
POST   /hosts/<name>                a port of its own for a name
POST   /hosts/<name>/down           and /up, /expire-tokens
PUT    /hosts/<name>/auth           {"scheme":"bearer","users":[{"username":"u","password":"p","repositories":["team/*"]}]}
DELETE /hosts/<name>/auth
POST   /reset                       as after the start

faults: latency answer hang reset quota gone serve redirect headers ignore-range cut stall hold drip flip chunked
kinds:  ping manifest manifest-tag manifest-digest blob tags upload referrers token other
`;

/** Serves the control endpoint on a loopback port. */
export async function startControl(proxy: FaultProxy): Promise<ControlServer> {
  const server = createServer((request, response) => {
    answer(proxy, request)
      .catch((error: unknown): Outcome => {
        const mistake = error instanceof InvalidRule || error instanceof SyntaxError;
        return { status: mistake ? 400 : 500, body: { error: (error as Error).message } };
      })
      .then(({ status, body }) => {
        const text = typeof body === 'string' ? body : body === undefined ? '' : `${JSON.stringify(body, null, 2)}\n`;
        response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' });
        response.end(text);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function answer(proxy: FaultProxy, request: IncomingMessage): Promise<Outcome> {
  const url = new URL(request.url ?? '/', 'http://control');
  const [what = '', name = '', action = ''] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  const route = `${request.method} /${what}${name === '' ? '' : '/:'}${action === '' ? '' : `/${action}`}`;
  const host = proxy.host(name);
  switch (route) {
    case 'GET /':
      return { status: 200, body: HELP };
    case 'GET /rules':
      return { status: 200, body: proxy.rules() };
    case 'POST /rules':
      return { status: 201, body: { id: proxy.add(parseRule(await readJson(request))).id } };
    case 'DELETE /rules': {
      const only = url.searchParams.get('host');
      for (const { rule } of [...proxy.rules()]) if (only === null || rule.host === only) proxy.removeRule(rule.id);
      return { status: 204 };
    }
    case 'DELETE /rules/:':
      return proxy.removeRule(name) ? { status: 204 } : { status: 404, body: { error: `no rule ${name}` } };
    case 'GET /counts': {
      const filter = filterOf(url.searchParams);
      return { status: 200, body: { total: proxy.log.total(filter), rows: proxy.log.counts(filter) } };
    }
    case 'DELETE /counts':
      proxy.log.reset();
      return { status: 204 };
    case 'GET /requests':
      return { status: 200, body: proxy.log.requests(filterOf(url.searchParams)) };
    case 'GET /hosts':
      return {
        status: 200,
        body: proxy
          .hostNames()
          .map((known) => ({ name: known, url: proxy.host(known).url, down: proxy.isDown(known) })),
      };
    case 'POST /hosts/:':
      return { status: 201, body: { name, url: (await proxy.addHost(name)).url } };
    case 'POST /hosts/:/down':
      await host.down();
      return { status: 204 };
    case 'POST /hosts/:/up':
      await host.up();
      return { status: 204 };
    case 'POST /hosts/:/expire-tokens':
      host.expireTokens();
      return { status: 204 };
    case 'PUT /hosts/:/auth':
      await host.auth(policyOf(await readJson(request)));
      return { status: 204 };
    case 'DELETE /hosts/:/auth':
      await host.auth(undefined);
      return { status: 204 };
    case 'POST /reset':
      await proxy.reset();
      return { status: 204 };
    default:
      return { status: 404, body: { error: `no ${request.method} ${url.pathname}; GET / tells what there is` } };
  }
}

function filterOf(query: URLSearchParams): RequestFilter {
  const status = query.get('status');
  return {
    host: query.get('host') ?? undefined,
    kind: (query.get('kind') ?? undefined) as RequestFilter['kind'],
    method: query.get('method')?.toUpperCase(),
    status: status === null ? undefined : Number(status),
  };
}

function policyOf(value: unknown): AuthPolicy {
  const scheme = (value as AuthPolicy | null)?.scheme;
  if (scheme !== 'basic' && scheme !== 'bearer') throw new InvalidRule('auth.scheme must be basic or bearer');
  return value as AuthPolicy;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}
