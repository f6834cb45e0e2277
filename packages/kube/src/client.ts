import { accessOf } from './access/access-of.ts';
import { Calls } from './calls.ts';
import type { CallTarget } from './call-target.ts';
import { isKubeError } from './kube-error.ts';
import { listPages, wholeList } from './list-pages.ts';
import { nameOnly } from './object-name.ts';
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
import { tokenReviewBody, tokenReviewResult, TOKEN_REVIEWS, type TokenReviewStatus } from './token-review.ts';
import { Transport } from './transport.ts';
import { watchEventOf } from './watch-event.ts';
import { ownsStatusAlone, saysNothing } from './withdraw.ts';

const MERGE_PATCH = 'application/merge-patch+json';
/** JSON is YAML. */
const APPLY_PATCH = 'application/apply-patch+yaml';

/** The client over HTTP. Throws KubeError 'invalid' at once when the kubeconfig cannot be used; connects at the first call. */
export function createKubeClient(options: KubeClientOptions = {}): KubeClient {
  const { userAgent = 'kube-image-keeper', timeoutMs = 15_000, maxSockets = 8, onCall } = options;
  const transport = new Transport(accessOf(options), { userAgent, maxSockets, connectTimeoutMs: 10_000 });
  return new HttpKubeClient(new Calls(transport, timeoutMs, onCall));
}

class HttpKubeClient implements KubeClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async get<T extends KubeObject>(resource: Resource, name: ObjectName, options: CallOptions = {}): Promise<T> {
    return this.#calls.json({
      ...options,
      verb: 'get',
      method: 'GET',
      resource,
      name,
      path: objectPath(resource, name),
    });
  }

  list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<Page<T>> {
    return wholeList(this.pages<T>(resource, options));
  }

  pages<T extends KubeObject>(resource: Resource, options: ListOptions = {}): AsyncGenerator<Page<T>> {
    return listPages<T>(resource, options, (path) =>
      this.#calls.json({ ...options, verb: 'list', method: 'GET', resource, name: inNamespace(options), path }),
    );
  }

  async create<T extends KubeObject>(
    resource: Resource,
    object: object,
    options: CallOptions & { namespace?: string } = {},
  ): Promise<T> {
    const { name, namespace } = (object as Partial<KubeObject>).metadata ?? { name: '' };
    const where = options.namespace ?? namespace;
    return this.#calls.json({
      ...options,
      verb: 'create',
      method: 'POST',
      resource,
      name: where === undefined ? { name: name ?? '' } : { name: name ?? '', namespace: where },
      path: collectionPath(resource, where),
      body: object,
    });
  }

  async apply<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options: ApplyOptions,
  ): Promise<T> {
    const { fieldManager, subresource, ...call } = options;
    const identity = {
      apiVersion: resource.group === undefined ? resource.version : `${resource.group}/${resource.version}`,
      kind: resource.kind,
    };
    const metadata = { ...(patch as Partial<KubeObject>).metadata, ...nameOnly(name) };
    const applied = this.#calls.json<T>({
      ...call,
      verb: 'apply',
      method: 'PATCH',
      resource,
      name,
      subresource,
      path: withQuery(objectPath(resource, name, subresource), { fieldManager, force: true }),
      body: { ...patch, ...identity, metadata },
      contentType: APPLY_PATCH,
    });
    if (subresource === undefined || !saysNothing(patch)) return applied;
    return applied.catch((error: unknown) => this.#withdrawLast<T>(resource, name, fieldManager, call, error));
  }

  /** Empties a status of which this manager is the last owner; any other refusal stays what it was. */
  async #withdrawLast<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    fieldManager: string,
    call: CallOptions,
    refusal: unknown,
  ): Promise<T> {
    if (!isKubeError(refusal, 'invalid')) throw refusal;
    const object = await this.get<T>(resource, name, call);
    if (!ownsStatusAlone(object, fieldManager)) throw refusal;
    const { resourceVersion, uid } = object.metadata;
    const patch = { metadata: { resourceVersion, uid }, status: null };
    return this.mergePatch<T>(resource, name, patch, { ...call, subresource: 'status' });
  }

  async mergePatch<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options: CallOptions & { subresource?: 'status' } = {},
  ): Promise<T> {
    const { subresource } = options;
    return this.#calls.json({
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
      await this.#calls.json({ ...call, verb: 'delete', method: 'DELETE', resource, name, path, body });
      return true;
    } catch (error) {
      if (isKubeError(error, 'not-found')) return false;
      throw error;
    }
  }

  async tokenReview(token: string, audiences: string[], options: CallOptions = {}): Promise<TokenReviewResult> {
    const review = await this.#calls.json<{ status?: TokenReviewStatus }>({
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
    return this.#calls.json<T>({ ...options, verb: method.toLowerCase(), method, path, body });
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
    for await (const line of this.#calls.lines(target, { signal, idleTimeoutMs, onContact })) {
      yield watchEventOf<T>(target, line);
    }
  }

  close(): Promise<void> {
    return this.#calls.close();
  }
}

function inNamespace({ namespace }: { namespace?: string }): ObjectName | undefined {
  return namespace === undefined ? undefined : { name: '', namespace };
}
