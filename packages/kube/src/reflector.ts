import { backoffMs, DEFAULT_BACKOFF } from './backoff.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { LocalCopy, type Change } from './local-copy.ts';
import { keyOf } from './object-name.ts';
import { nextRound, type RoundEnd } from './next-round.ts';
import { pause } from './pause.ts';
import type { KubeObject, ObjectName, Reflector, ReflectorCause, ReflectorOptions } from './port.ts';

/** A local copy of one collection: a paged list, then a watch from there, for ever. Any failure is observed, waited out and healed. */
export function createReflector<T extends KubeObject, P>(options: ReflectorOptions<T, P>): Reflector<P> {
  return new ListThenWatch(options);
}

type Ended = Omit<RoundEnd, 'failures'> & { error?: unknown };

class ListThenWatch<T extends KubeObject, P> implements Reflector<P> {
  readonly #options: ReflectorOptions<T, P>;
  readonly #copy: LocalCopy<T, P>;
  readonly #stopping = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #listed = false;
  #contactAt = -Infinity;
  #resourceVersion = '';
  #resyncAt = 0;

  constructor(options: ReflectorOptions<T, P>) {
    this.#options = options;
    this.#copy = new LocalCopy(options.project);
    this.#firstList.promise.catch(() => undefined);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#firstList.reject(new KubeError('aborted', `${this.#name} reflector was stopped before its first list`));
    await this.#running;
  }

  synced(): boolean {
    const { staleAfterMs = 150_000 } = this.#options;
    return this.#listed && !this.#stopping.signal.aborted && this.contactAgeMs() < staleAfterMs;
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const abort = (): void =>
      aborted.reject(
        new KubeError('aborted', `gave up waiting for the first list of ${this.#name}`, { cause: signal.reason }),
      );
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    try {
      await Promise.race([this.#firstList.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  get(name: ObjectName): P | undefined {
    return this.#copy.get(name);
  }

  values(): IterableIterator<P> {
    return this.#copy.values();
  }

  size(): number {
    return this.#copy.size();
  }

  contactAgeMs(): number {
    return performance.now() - this.#contactAt;
  }

  get #name(): string {
    return this.#options.resource.plural;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { backoff = DEFAULT_BACKOFF } = this.#options;
    let next = { why: 'start' as ReflectorCause, list: true, failures: 0 };
    while (!signal.aborted) {
      const ended = await this.#round(next.why, next.list);
      if (signal.aborted) return;
      next = nextRound({ ...ended, failures: next.failures });
      if (next.failures === 0) continue;
      const askedMs = ended.error instanceof KubeError ? (ended.error.retryAfterMs ?? 0) : 0;
      const nextInMs = backoffMs(next.failures, backoff, Math.random(), askedMs);
      if (ended.error !== undefined) this.#failed(ended.error, next.failures, nextInMs);
      await pause(nextInMs, signal);
    }
  }

  async #round(why: ReflectorCause, list: boolean): Promise<Ended> {
    if (list) {
      try {
        await this.#list(why);
      } catch (error) {
        return { phase: 'list', end: codeOf(error), lastedMs: 0, progressed: false, error };
      }
    }
    return this.#watch(list ? 'start' : why);
  }

  async #list(why: ReflectorCause): Promise<void> {
    const {
      client,
      resource,
      namespace,
      labelSelector,
      fieldSelector,
      pageSize = 500,
      resyncMs = 1_800_000,
    } = this.#options;
    const startedAt = performance.now();
    const listed = new Set<string>();
    let repaired = 0;
    let resourceVersion = '';
    const where = defined({ namespace, labelSelector, fieldSelector });
    const pages = client.pages<T>(resource, { ...where, limit: pageSize, signal: this.#stopping.signal });
    for await (const page of pages) {
      this.#heard();
      resourceVersion = page.resourceVersion;
      for (const object of page.items) {
        listed.add(keyOf(object.metadata));
        repaired += this.#take(() => this.#copy.put(object));
      }
    }
    repaired += this.#take(() => this.#copy.keepOnly(listed));
    if (!this.#listed) repaired = 0;
    this.#resourceVersion = resourceVersion;
    this.#resyncAt = performance.now() + resyncMs * (0.9 + Math.random() / 5);
    const ms = performance.now() - startedAt;
    this.#options.observe?.({ kind: 'list', resource: this.#name, why, items: listed.size, repaired, ms });
    this.#listed = true;
    this.#firstList.resolve();
    this.#guard(() => this.#options.onResync?.());
  }

  async #watch(why: ReflectorCause): Promise<Ended> {
    const { client, resource, namespace, labelSelector, fieldSelector, observe } = this.#options;
    const { idleTimeoutMs = 90_000, watchTimeoutSeconds = 300 } = this.#options;
    const resync = new AbortController();
    const endWatch = (): void => resync.abort();
    const timer = setTimeout(endWatch, Math.max(this.#resyncAt - performance.now(), 0));
    this.#stopping.signal.addEventListener('abort', endWatch);
    const startedAt = performance.now();
    let progressed = false;
    const ended = (end: Ended['end'], error?: unknown): Ended => {
      const how: Ended = { phase: 'watch', end, lastedMs: performance.now() - startedAt, progressed };
      return error === undefined ? how : { ...how, error };
    };
    observe?.({ kind: 'watch', resource: this.#name, why });
    try {
      const events = client.watch<T>(resource, {
        ...defined({ namespace, labelSelector, fieldSelector }),
        signal: resync.signal,
        resourceVersion: this.#resourceVersion,
        // Spread, so that the watches of many replicas do not end together.
        timeoutSeconds: Math.ceil(watchTimeoutSeconds * (1 + Math.random() / 4)),
        idleTimeoutMs,
        onContact: () => this.#heard(),
      });
      for await (const event of events) {
        const version = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
        progressed ||= version !== this.#resourceVersion;
        this.#resourceVersion = version;
        if (event.type === 'DELETED') this.#take(() => this.#copy.remove(event.object));
        else if (event.type !== 'BOOKMARK') this.#take(() => this.#copy.put(event.object));
        observe?.({ kind: 'change', resource: this.#name, type: event.type });
      }
      return ended(resync.signal.aborted ? 'resync' : 'closed');
    } catch (error) {
      return resync.signal.aborted ? ended('resync') : ended(codeOf(error), error);
    } finally {
      clearTimeout(timer);
      this.#stopping.signal.removeEventListener('abort', endWatch);
    }
  }

  #heard(): void {
    this.#contactAt = performance.now();
  }

  /** Applies and delivers; a projection or listener that throws costs its own object, not the loop. Returns how many changes there were. */
  #take(change: () => Change<P>[]): number {
    let changes: Change<P>[] = [];
    this.#guard(() => {
      changes = change();
    });
    for (const each of changes) this.#guard(() => this.#options.onChange?.(each));
    return changes.length;
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failed(error, 0, 0);
    }
  }

  #failed(error: unknown, failures: number, nextInMs: number): void {
    this.#options.observe?.({ kind: 'error', resource: this.#name, error, failures, nextInMs });
  }
}

function codeOf(error: unknown): KubeError['code'] {
  return isKubeError(error) ? error.code : 'unexpected';
}

function defined<O extends object>(options: O): { [K in keyof O]: NonNullable<O[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
