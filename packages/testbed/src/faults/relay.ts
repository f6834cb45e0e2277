import { encodeRepository } from './backing-name.ts';
import { randomBytes } from 'node:crypto';
import { BodyWriter } from './body-writer.ts';
import type { Verdict } from './decide.ts';
import type { Route } from './route.ts';
import { errorReply, lowerCase, quotaHeaders } from './scripted-reply.ts';
import { reply, type Exchange, type Serving } from './exchange.ts';
import { listedTags } from './tag-overlay.ts';

const UNKNOWN: Readonly<Record<string, readonly [code: string, message: string]>> = {
  blob: ['BLOB_UNKNOWN', 'blob unknown to registry'],
  tags: ['NAME_UNKNOWN', 'repository name not known to registry'],
  upload: ['BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'],
};

/** Answers with the real registry's content and what a verdict does to it. */
export async function relay(serving: Serving, exchange: Exchange, verdict: Verdict): Promise<void> {
  const { facts, route, target, contentHost, request, response, pen, query } = exchange;
  const { quota, target: aim, range, end, hold, pace, bytes, framing } = verdict.slots;

  const extra =
    quota === undefined
      ? {}
      : quotaHeaders(quota.limit, quota.limit - verdict.quotaSpent - spends(facts.method), quota.windowSeconds);
  if (quota !== undefined && facts.method !== 'HEAD' && verdict.quotaSpent >= quota.limit) {
    const rest = quota.retryAfter === undefined ? extra : { ...extra, 'retry-after': String(quota.retryAfter) };
    reply(exchange, errorReply(429, 'TOOMANYREQUESTS', 'You have reached your pull rate limit.', rest));
    return;
  }
  if (aim?.do === 'gone') {
    const [code, message] = UNKNOWN[facts.kind] ?? ['MANIFEST_UNKNOWN', 'manifest unknown'];
    reply(exchange, errorReply(404, code, message, extra));
    return;
  }
  if (aim?.do === 'redirect') {
    const to = serving.urlOf(aim.to ?? serving.origin, target.byName);
    const own = encodeRepository('', contentHost, 'x').slice(0, -2);
    const location = `${to}/origin/${own}${target.path}?signature=${randomBytes(12).toString('hex')}`;
    reply(exchange, { status: aim.status ?? 307, headers: { ...extra, location }, body: '' });
    return;
  }

  const asked: Route =
    aim?.do === 'serve' && route.kind === 'manifest-tag' ? { ...route, reference: aim.digest } : route;
  const search = [...query].length === 0 ? '' : `?${query.toString()}`;
  const headers = { ...request.headers };
  if (range !== undefined) delete headers.range;
  const hasBody = !['GET', 'HEAD'].includes(facts.method);
  if (hasBody) request.on('data', (chunk: Buffer) => pen.received(chunk.length));
  const answer = await serving.backing.ask({
    host: contentHost,
    method: facts.method,
    path: `${ownPath(exchange, asked)}${search}`,
    route: asked,
    headers,
    ...(hasBody ? { body: request } : {}),
  });
  exchange.gone.addEventListener('abort', () => answer.cancel(), { once: true });

  const text =
    facts.kind === 'tags' && answer.status === 200
      ? listedTags(answer.text ?? '', facts, serving.book.states())
      : answer.text;
  const outgoing = outgoingHeaders({ ...answer.headers, ...extra }, verdict, target.mount);
  if (text !== undefined) outgoing['content-length'] = String(Buffer.byteLength(text));
  if (framing !== undefined) delete outgoing['content-length'];
  pen.answered(answer.status);
  response.writeHead(answer.status, outgoing);
  if (facts.method === 'HEAD') {
    await answer.deliver(() => undefined);
    return;
  }
  const faults = {
    ...(end === undefined ? {} : { end }),
    ...(hold === undefined
      ? {}
      : { hold: { ...hold, released: () => serving.book.untilRemoved(hold, exchange.gone) } }),
    ...(pace === undefined ? {} : { pace }),
    ...(bytes === undefined ? {} : { bytes }),
  };
  const writer = new BodyWriter(response, faults, exchange.gone, (count) => {
    pen.sent(count);
  });
  try {
    if (text === undefined) await answer.deliver((chunk) => writer.write(chunk));
    else await writer.write(Buffer.from(text));
  } finally {
    answer.cancel();
  }
}

function outgoingHeaders(headers: Record<string, string>, verdict: Verdict, mount: string): Record<string, string> {
  const out = { ...headers };
  for (const name of ['location', 'link']) {
    if (out[name] !== undefined) out[name] = out[name].replace('/v2/', () => `/v2${mount}/`);
  }
  for (const { set, remove } of verdict.headers) {
    Object.assign(out, lowerCase(set));
    for (const name of remove ?? []) delete out[name.toLowerCase()];
  }
  return out;
}

function ownPath({ target }: Exchange, route: Route): string {
  if (route.kind === 'manifest-tag' || route.kind === 'manifest-digest')
    return `/v2/${route.repository}/manifests/${route.reference}`;
  return target.path.replace(/^\/origin\/[^/]+/, '');
}

function spends(method: string): number {
  return method === 'HEAD' ? 0 : 1;
}
