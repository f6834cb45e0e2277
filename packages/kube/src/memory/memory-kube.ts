import { plural } from '../call-target.ts';
import { isKubeError, KubeError } from '../kube-error.ts';
import { wholeList } from '../list-pages.ts';
import { objectPath } from '../paths.ts';
import type {
  ApplyOptions,
  CallOptions,
  KubeErrorCode,
  KubeObject,
  ListOptions,
  ObjectName,
  Page,
  Resource,
  TokenReviewResult,
  WatchEvent,
  WatchOptions,
} from '../port.ts';
import type { Json } from '../json.ts';
import { memoryWatch, type WatchEnds } from './memory-watch.ts';
import { ObjectStore, type Part } from './object-store.ts';
import type { MemoryCall, MemoryKube, MemoryKubeOptions } from './port.ts';
import { selects } from './selectors.ts';

interface Failure {
  code: KubeErrorCode;
  verb: MemoryCall['verb'] | undefined;
  resource: Resource | undefined;
  times: number;
}

/** An empty API server in memory. */
export function memoryKube(options: MemoryKubeOptions = {}): MemoryKube {
  return new MemoryClient(new ObjectStore(options.now ?? (() => new Date())));
}

class MemoryClient implements MemoryKube {
  readonly calls: MemoryCall[] = [];
  readonly #store: ObjectStore;
  readonly #tokens = new Map<string, TokenReviewResult>();
  readonly #ends: WatchEnds = { count: 0, error: undefined };
  #failures: Failure[] = [];

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async get<T extends KubeObject>(resource: Resource, name: ObjectName, options: CallOptions = {}): Promise<T> {
    await this.#enter({ verb: 'get', resource, name }, options);
    return copy<T>(this.#store.read(resource, name));
  }

  list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<Page<T>> {
    return wholeList(this.pages<T>(resource, options));
  }

  async *pages<T extends KubeObject>(resource: Resource, options: ListOptions = {}): AsyncGenerator<Page<T>> {
    await this.#enter({ verb: 'list', resource }, options);
    const { limit = 500 } = options;
    const resourceVersion = String(this.#store.history.version);
    const found = this.#store.all(resource).filter((object) => selects(options, object));
    const size = limit === 0 ? Math.max(found.length, 1) : limit;
    for (let from = 0; from === 0 || from < found.length; from += size) {
      if (from > 0) await this.#enter({ verb: 'list', resource }, options);
      yield { items: found.slice(from, from + size).map((object) => copy<T>(object)), resourceVersion };
    }
  }

  async *watch<T extends KubeObject>(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    await this.#enter({ verb: 'watch', resource }, options);
    yield* memoryWatch<T>(this.#store.history, this.#ends, resource, options);
  }

  async create<T extends KubeObject>(
    resource: Resource,
    object: object,
    options: CallOptions & { namespace?: string } = {},
  ): Promise<T> {
    const { name = '', namespace } = (object as Partial<KubeObject>).metadata ?? {};
    const where = options.namespace ?? namespace;
    const full = where === undefined || !resource.namespaced ? { name } : { name, namespace: where };
    await this.#enter({ verb: 'create', resource, name: full }, options);
    return copy<T>(this.#store.create(resource, withoutStatus(resource, object as Json), full));
  }

  async apply<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options: ApplyOptions,
  ): Promise<T> {
    const { fieldManager, subresource } = options;
    await this.#enter({ verb: 'apply', resource, name, fieldManager }, options);
    const part = partOf(resource, subresource);
    if (part !== 'status' && this.#store.find(resource, name) === undefined) this.#store.create(resource, {}, name);
    return copy<T>(this.#store.apply(resource, name, part, fieldManager, patch as Json));
  }

  async mergePatch<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options: CallOptions & { subresource?: 'status' } = {},
  ): Promise<T> {
    await this.#enter({ verb: 'patch', resource, name }, options);
    return copy<T>(this.#store.merge(resource, name, partOf(resource, options.subresource), patch as Json));
  }

  async delete(
    resource: Resource,
    name: ObjectName,
    options: CallOptions & { uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    await this.#enter({ verb: 'delete', resource, name }, options);
    try {
      this.#store.delete(resource, name, options);
      return true;
    } catch (error) {
      if (isKubeError(error, 'not-found')) return false;
      throw error;
    }
  }

  async tokenReview(token: string, audiences: string[], options: CallOptions = {}): Promise<TokenReviewResult> {
    await this.#enter({ verb: 'tokenreview' }, options);
    const known = this.#tokens.get(token);
    const wanted = audiences.length === 0 || audiences.some((each) => known?.audiences?.includes(each) ?? true);
    if (known === undefined || !wanted) return { authenticated: false, error: 'invalid bearer token' };
    return structuredClone(known);
  }

  async raw<T>(method: string, path: string, _body?: object, options: CallOptions = {}): Promise<T> {
    await this.#enter({ verb: 'raw' }, options);
    throw new KubeError('unexpected', `the twin has no ${method} ${path}; use a typed call`);
  }

  close(): Promise<void> {
    this.endWatches('aborted');
    return Promise.resolve();
  }

  put<T extends KubeObject>(
    resource: Resource,
    object: Omit<T, 'metadata'> & { metadata: Partial<KubeObject['metadata']> & { name: string } },
  ): T {
    const { name, namespace } = object.metadata;
    const full = namespace === undefined ? { name } : { name, namespace };
    const document = structuredClone(object) as unknown as Json;
    if (this.#store.find(resource, full) === undefined) return copy<T>(this.#store.create(resource, document, full));
    const { apiVersion, kind } = this.#store.read(resource, full);
    return copy<T>(this.#store.update(resource, full, 'all', () => ({ apiVersion, kind, ...document })));
  }

  objects<T extends KubeObject>(resource: Resource): T[] {
    return this.#store.all(resource).map((object) => copy<T>(object));
  }

  find<T extends KubeObject>(resource: Resource, name: ObjectName): T | undefined {
    const object = this.#store.find(resource, name);
    return object === undefined ? undefined : copy<T>(object);
  }

  drop(resource: Resource, name: ObjectName): void {
    this.#store.update(resource, name, 'all', ({ metadata, ...rest }) => {
      const { finalizers, ...kept } = metadata as Json;
      void finalizers;
      return { ...rest, metadata: kept };
    });
    if (this.#store.find(resource, name) !== undefined) this.#store.delete(resource, name, {});
  }

  setToken(token: string, result: TokenReviewResult): void {
    this.#tokens.set(token, structuredClone(result));
  }

  failNext(code: KubeErrorCode, match: { verb?: MemoryCall['verb']; resource?: Resource; times?: number } = {}): void {
    this.#failures.push({ code, verb: match.verb, resource: match.resource, times: match.times ?? 1 });
  }

  endWatches(code?: KubeErrorCode): void {
    this.#ends.error =
      code === undefined ? undefined : new KubeError(code, `cannot watch: ${code}, as the test wished`);
    this.#ends.count++;
    this.#store.history.wake();
  }

  forgetHistory(): void {
    this.#store.history.forget();
  }

  /** Notes the call, then fails it if the caller gave up or a test asked for it. */
  async #enter(
    call: { verb: MemoryCall['verb']; resource?: Resource; name?: ObjectName; fieldManager?: string },
    { signal }: CallOptions,
  ): Promise<void> {
    const { verb, resource, name, fieldManager } = call;
    if (resource !== undefined && name !== undefined && verb !== 'create') objectPath(resource, name);
    this.calls.push({
      verb,
      resource: resource?.plural ?? '',
      name: name?.name ?? '',
      ...(name?.namespace === undefined ? {} : { namespace: name.namespace }),
      ...(fieldManager === undefined ? {} : { fieldManager }),
    });
    // A network is never immediate: what depends on that shows here too.
    await Promise.resolve();
    const what = `cannot ${verb} ${resource === undefined ? '' : plural(resource)} ${name?.name ?? ''}`.trim();
    if (signal?.aborted === true) throw new KubeError('aborted', `${what}: aborted by the caller`);
    const failure = this.#failures.find(
      (each) => (each.verb ?? verb) === verb && (each.resource ?? resource)?.plural === resource?.plural,
    );
    if (failure === undefined) return;
    if (--failure.times <= 0) this.#failures = this.#failures.filter((each) => each !== failure);
    throw new KubeError(failure.code, `${what}: ${failure.code}, as the test wished`);
  }
}

/** Resources whose status is a part of its own. */
const WITH_STATUS = new Set([
  'pods',
  'nodes',
  'namespaces',
  'cachedimages',
  'repositories',
  'customresourcedefinitions',
]);

function partOf(resource: Resource, subresource: 'status' | undefined): Part {
  if (subresource === 'status') return 'status';
  return WITH_STATUS.has(resource.plural) ? 'main' : 'all';
}

function withoutStatus(resource: Resource, document: Json): Json {
  if (!WITH_STATUS.has(resource.plural)) return document;
  const { status, ...rest } = document;
  void status;
  return rest;
}

function copy<T extends KubeObject>(object: KubeObject): T {
  return structuredClone(object) as T;
}
