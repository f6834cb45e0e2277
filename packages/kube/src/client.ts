import { accessOf } from './access/access-of.ts';
import { callLimits } from './call-limits.ts';
import type { CallTarget } from './call-target.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { LineSplitter } from './line-splitter.ts';
import { listPages, wholeList } from './list-pages.ts';
import { collectionPath, objectPath, withQuery } from './paths.ts';
import type {
  ApplyOptions,
  CallOptions,
  KubeClient,
  KubeClientOptions,
  KubeObject,
  ListOptions,
  ObjectName,
  Page,
  Resource,
  TokenReviewResult,
  WatchEvent,
  WatchOptions,
} from './port.ts';
import { statusError, type StatusBody } from './status-error.ts';
import { tokenReviewBody, tokenReviewResult, TOKEN_REVIEWS, type TokenReviewStatus } from './token-review.ts';
import { Transport, type Exchange } from './transport.ts';
import { transportError } from './transport-error.ts';
import { watchEventOf } from './watch-event.ts';

const JSON_TYPE = 'application/json';
const MERGE_PATCH = 'application/merge-patch+json';
/** JSON is YAML. */
const APPLY_PATCH = 'application/apply-patch+yaml';

type Call = CallTarget &
  Omit<CallOptions, 'body'> & { method: string; body?: object | undefined; contentType?: string };

/** The client over HTTP. Throws KubeError 'invalid' at once when the kubeconfig cannot be used; connects at the first call. */
export function createKubeClient(options: KubeClientOptions = {}): KubeClient {
  const { userAgent = 'kube-image-keeper', timeoutMs = 15_000, maxSockets = 8, onCall } = options;
  const transport = new Transport(accessOf(options), { userAgent, maxSockets, connectTimeoutMs: 10_000 });
  return new HttpKubeClient(transport, timeoutMs, onCall ?? (() => undefined));
}

class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #onCall: NonNullable<KubeClientOptions['onCall']>;

  constructor(transport: Transport, timeoutMs: number, onCall: NonNullable<KubeClientOptions['onCall']>) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
    this.#onCall = onCall;
  }

  get<T extends KubeObject>(resource: Resource, name: ObjectName, options: CallOptions = {}): Promise<T> {
    return this.#json({ ...options, verb: 'get', method: 'GET', resource, name, path: objectPath(resource, name) });
  }

  list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<Page<T>> {
    return wholeList(this.pages<T>(resource, options));
  }

  pages<T extends KubeObject>(resource: Resource, options: ListOptions = {}): AsyncGenerator<Page<T>> {
    return listPages<T>(resource, options, (path) =>
      this.#json({ ...options, verb: 'list', method: 'GET', resource, name: inNamespace(options), path }),
    );
  }

  create<T extends KubeObject>(
    resource: Resource,
    object: object,
    options: CallOptions & { namespace?: string } = {},
  ): Promise<T> {
    const { name, namespace } = (object as Partial<KubeObject>).metadata ?? { name: '' };
    const where = options.namespace ?? namespace;
    return this.#json({
      ...options,
      verb: 'create',
      method: 'POST',
      resource,
      name: where === undefined ? { name: name ?? '' } : { name: name ?? '', namespace: where },
      path: collectionPath(resource, where),
      body: object,
    });
  }

  apply<T extends KubeObject>(resource: Resource, name: ObjectName, patch: object, options: ApplyOptions): Promise<T> {
    const { fieldManager, subresource } = options;
    const identity = {
      apiVersion: resource.group === undefined ? resource.version : `${resource.group}/${resource.version}`,
      kind: resource.kind,
    };
    const metadata = { ...(patch as Partial<KubeObject>).metadata, ...name };
    return this.#json({
      ...options,
      verb: 'apply',
      method: 'PATCH',
      resource,
      name,
      subresource,
      path: withQuery(objectPath(resource, name, subresource), { fieldManager, force: true }),
      body: { ...patch, ...identity, metadata },
      contentType: APPLY_PATCH,
    });
  }

  mergePatch<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options: CallOptions & { subresource?: 'status' } = {},
  ): Promise<T> {
    const { subresource } = options;
    return this.#json({
      ...options,
      verb: 'patch',
      method: 'PATCH',
      resource,
      name,
      path: objectPath(resource, name, subresource),
      body: patch,
      contentType: MERGE_PATCH,
    });
  }

  async delete(
    resource: Resource,
    name: ObjectName,
    options: CallOptions & { uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    const { uid, resourceVersion, ...call } = options;
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions };
    const path = objectPath(resource, name);
    try {
      await this.#json({ ...call, verb: 'delete', method: 'DELETE', resource, name, path, body });
      return true;
    } catch (error) {
      if (isKubeError(error, 'not-found')) return false;
      throw error;
    }
  }

  async tokenReview(token: string, audiences: string[], options: CallOptions = {}): Promise<TokenReviewResult> {
    const review = await this.#json<{ status?: TokenReviewStatus }>({
      ...options,
      verb: 'create',
      method: 'POST',
      resource: TOKEN_REVIEWS,
      path: collectionPath(TOKEN_REVIEWS),
      body: tokenReviewBody(token, audiences),
    });
    return tokenReviewResult(review.status);
  }

  raw<T>(
    method: string,
    path: string,
    body?: object,
    options: CallOptions & { contentType?: string } = {},
  ): Promise<T> {
    return this.#json<T>({ ...options, verb: method.toLowerCase(), method, path, body });
  }

  async *watch<T extends KubeObject>(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { signal, namespace, idleTimeoutMs = 0, onContact, timeoutSeconds } = options;
    const { labelSelector, fieldSelector, resourceVersion } = options;
    const path = withQuery(collectionPath(resource, namespace), {
      watch: 1,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
      labelSelector,
      fieldSelector,
    });
    const target: CallTarget = { verb: 'watch', resource, name: inNamespace(options), path };
    const limits = callLimits(signal, 'idle', idleTimeoutMs);
    const startedAt = performance.now();
    let reported = false;
    try {
      const response = await this.#transport.send({ method: 'GET', path, signal: limits.signal, pool: 'watches' });
      if (response.statusCode >= 400) await refuse(target, response);
      this.#report(target, String(response.statusCode), startedAt);
      reported = true;
      const lines = new LineSplitter();
      limits.heard();
      onContact?.();
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        limits.heard();
        onContact?.();
        for (const line of lines.push(chunk)) yield watchEventOf<T>(target, line);
      }
      const rest = lines.rest();
      if (rest.trim() !== '')
        throw new KubeError('unavailable', `cannot watch ${path}: cut off in the middle of an event`);
    } catch (error) {
      const failure = this.#failure(target, error, signal, limits.signal);
      if (!reported)
        this.#report(target, failure.status === undefined ? failure.code : String(failure.status), startedAt);
      throw failure;
    } finally {
      limits.end();
    }
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #json<T>(call: Call): Promise<T> {
    const { method, path, body, contentType = JSON_TYPE, signal, timeoutMs = this.#timeoutMs } = call;
    const startedAt = performance.now();
    const limits = callLimits(signal, 'call', timeoutMs);
    const exchange: Exchange = {
      method,
      path,
      signal: limits.signal,
      pool: 'calls',
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType }),
    };
    try {
      const response = await this.#sendAgainIfStale(exchange);
      if (response.statusCode >= 400) await refuse(call, response);
      const text = await response.body.text();
      this.#report(call, String(response.statusCode), startedAt);
      return parseJson<T>(call, text);
    } catch (error) {
      const failure = this.#failure(call, error, signal, limits.signal);
      this.#report(call, failure.status === undefined ? failure.code : String(failure.status), startedAt);
      throw failure;
    } finally {
      limits.end();
    }
  }

  /** A kept-alive socket may have died unnoticed: what only reads is sent once more, on a new one. */
  async #sendAgainIfStale(exchange: Exchange): ReturnType<Transport['send']> {
    try {
      return await this.#transport.send(exchange);
    } catch (error) {
      const stale = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes((error as { code?: string }).code ?? '');
      if (!stale || exchange.method !== 'GET' || exchange.signal.aborted) throw error;
      return this.#transport.send(exchange);
    }
  }

  #failure(target: CallTarget, error: unknown, caller: AbortSignal | undefined, bound: AbortSignal): KubeError {
    // undici may wrap the reason of our time-out; the signal has it plain.
    const timedOut = bound.aborted && caller?.aborted !== true;
    const thrown: unknown = timedOut && !(error instanceof KubeError) ? bound.reason : error;
    return transportError(target, this.#transport.server, thrown, caller?.aborted === true);
  }

  #report(target: CallTarget, status: string, startedAt: number): void {
    const ms = performance.now() - startedAt;
    this.#onCall({ verb: target.verb, resource: target.resource?.plural ?? '', status, ms });
  }
}

function inNamespace({ namespace }: { namespace?: string }): ObjectName | undefined {
  return namespace === undefined ? undefined : { name: '', namespace };
}

async function refuse(target: CallTarget, response: Awaited<ReturnType<Transport['send']>>): Promise<never> {
  const text = await response.body.text();
  const retryAfter = response.headers['retry-after'];
  let body: StatusBody;
  try {
    body = JSON.parse(text) as StatusBody;
  } catch {
    // Proxies in between answer in plain text.
    body = text === '' ? {} : { message: text.trim().slice(0, 200) };
  }
  throw statusError(target, response.statusCode, body, typeof retryAfter === 'string' ? retryAfter : undefined);
}

function parseJson<T>(target: CallTarget, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    const message = `cannot ${target.verb} ${target.path}: the answer is not JSON (${text.length} characters)`;
    throw new KubeError('unexpected', message, { cause: error });
  }
}
