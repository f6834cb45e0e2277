import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTokenRequest, challengeFor, renderChallenge } from './authorise.ts';
import { BodyEnded } from './body-writer.ts';
import { openExchange, reply, sendReply, splitOnce, type Exchange, type Serving } from './exchange.ts';
import { relay } from './relay.ts';
import { targetOf, type Target } from './route.ts';
import type { FaultIn } from './rule.ts';
import { errorReply, scriptedReply } from './scripted-reply.ts';

/**
 * Serves one request. In order: the host may be down; faults of arrival (delay; answer, hang, reset); the token server;
 * authorisation; then faults of content around the real registry's answer.
 */
export async function serveRequest(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  listenerHost: string | undefined,
): Promise<void> {
  const [path = '/', search = ''] = splitOnce(request.url ?? '/', '?');
  const query = new URLSearchParams(search);
  const target = targetFor(serving, request, path, query, listenerHost);
  if (target === undefined) {
    sendReply(response, path === '/v2/' ? { status: 200, headers: {}, body: '{}' } : NO_HOST);
    return;
  }
  if (serving.hosts.get(target.host).down) {
    request.socket.destroy();
    return;
  }
  const exchange = openExchange(serving, request, response, target, query);
  try {
    await answer(serving, exchange);
  } catch (error) {
    if (error instanceof BodyEnded) exchange.pen.ended(error.outcome);
    else if (response.headersSent || exchange.gone.aborted) request.socket.destroy();
    else reply(exchange, errorReply(502, 'UNAVAILABLE', `fault proxy: ${(error as Error).message}`));
  }
}

const NO_HOST = errorReply(
  404,
  'NAME_UNKNOWN',
  'fault proxy: say which upstream is meant by the Host header or by the path: /v2/docker.io/library/nginx/..',
);

async function answer(serving: Serving, exchange: Exchange): Promise<void> {
  const { facts, pen, request, response, gone } = exchange;
  const arrival = serving.book.take(facts, 'arrival');
  pen.rules(arrival.applied);
  const { delay, reply: scripted } = arrival.slots;
  if (delay !== undefined) await sleep(delay.ms, undefined, { signal: gone }).catch(() => undefined);
  if (gone.aborted) return;
  if (scripted?.do === 'hang') return;
  if (scripted?.do === 'reset') {
    pen.ended('cut');
    if (request.socket instanceof TLSSocket) request.socket.destroy();
    else request.socket.resetAndDestroy();
    return;
  }
  if (scripted !== undefined) {
    reply(exchange, scriptedReply(scripted, serving.now(), scriptedChallenge(serving, exchange, scripted)));
    return;
  }
  if (facts.kind === 'token') {
    await serveToken(serving, exchange);
    return;
  }
  if (atOrigin(exchange)) {
    if (request.headers.authorization !== undefined) {
      reply(exchange, errorReply(400, 'INVALID_ARGUMENT', 'only one auth mechanism allowed'));
      return;
    }
  } else {
    const challenge = challengeFor(
      serving.hosts.get(facts.host).auth,
      serving.tokens,
      facts,
      request.headers.authorization,
    );
    if (challenge !== undefined) {
      const header = renderChallenge(challenge, facts.host, realmOf(serving, exchange));
      reply(exchange, errorReply(401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': header }));
      return;
    }
  }
  const content = serving.book.take(facts, 'content');
  pen.rules(content.applied);
  await relay(serving, exchange, content);
  if (!response.writableEnded) response.end();
}

function targetFor(
  serving: Serving,
  request: IncomingMessage,
  path: string,
  query: URLSearchParams,
  listenerHost: string | undefined,
): Target | undefined {
  const target = targetOf(path, {
    hostHeader: request.headers.host,
    listenerHost,
    localPort: request.socket.localPort,
    isKnown: (host) => serving.hosts.isKnown(host),
  });
  const service = query.get('service');
  if (target === undefined && path === '/token' && service !== null)
    return { host: service, path, byName: false, mount: '' };
  return target;
}

async function serveToken(serving: Serving, exchange: Exchange): Promise<void> {
  const { request, query, facts } = exchange;
  const parameters = request.method === 'POST' ? new URLSearchParams(await readForm(request)) : query;
  const service = parameters.get('service') ?? facts.host;
  const policy = serving.hosts.isKnown(service) ? serving.hosts.get(service).auth : undefined;
  const { authorization } = request.headers;
  const { status, body } = answerTokenRequest(
    service,
    policy,
    serving.tokens,
    { parameters, authorization },
    serving.now(),
  );
  reply(exchange, { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

async function readForm(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function scriptedChallenge(
  serving: Serving,
  exchange: Exchange,
  fault: FaultIn<'reply'> & { do: 'answer' },
): string | undefined {
  if (fault.status !== 401 || fault.challenge === 'none') return undefined;
  const { host, repository } = exchange.facts;
  const scheme = fault.challenge ?? serving.hosts.get(host).auth?.scheme ?? 'basic';
  const scope = repository === undefined ? {} : { scope: `repository:${repository}:pull` };
  return renderChallenge({ scheme, ...scope }, host, realmOf(serving, exchange));
}

function realmOf(serving: Serving, { facts, target }: Exchange): string {
  const realmHost = serving.hosts.get(facts.host).auth?.realmHost ?? facts.host;
  return `${serving.urlOf(realmHost, target.byName)}/token`;
}

function atOrigin({ target }: Exchange): boolean {
  return target.path.startsWith('/origin/');
}
