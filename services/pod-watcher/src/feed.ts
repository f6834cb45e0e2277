import {
  createReflector,
  isKubeError,
  type KubeClient,
  type KubeObject,
  type Reflector,
  type ReflectorEvent,
  type ReflectorOptions,
  type Resource,
} from '@kuik/kube';
import { backoffMs, wait } from '@kuik/runtime';

/**
 * What is known of one collection since its watch began: `listed` in full; `absent`: the API server serves no such kind, so there is
 * nothing of it; `refused`: we may not read it; `pending`: none of these yet.
 */
export type FeedState = 'listed' | 'absent' | 'refused' | 'pending';

export interface FeedOptions<T extends KubeObject, P> {
  /** `deployments`, `Rollout.argoproj.io`: for people and metrics. */
  readonly id: string;
  readonly client: KubeClient;
  readonly resyncMs: number;
  /** How many objects are fetched at once; 500 when absent. */
  readonly pageSize?: number;
  /** The collection; undefined when the API server serves none. Throws KubeError. */
  readonly find: (signal: AbortSignal) => Promise<Resource | undefined>;
  /** How long after that it is looked for again, ms. */
  readonly lookAgainMs: number;
  readonly project: (object: T) => P;
  readonly onChange: NonNullable<ReflectorOptions<T, P>['onChange']>;
  /** Told after each full list; of a collection that is absent, with nothing. */
  readonly onList: (values: Iterable<P>) => void;
  /** Told whenever `state` may have changed. */
  readonly onState: () => void;
  readonly observe: (event: ReflectorEvent) => void;
}

const BACKOFF = { firstMs: 200, maxMs: 30_000 };
const STALE_LOOKS = 2.5;

/**
 * Follows one collection, whether it is there yet or not: a kind whose CRD is not installed counts as empty and is looked for again, one
 * whose CRD is taken away becomes that, too.
 */
export class Feed<T extends KubeObject, P> {
  readonly id: string;
  readonly #options: FeedOptions<T, P>;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #reflector: Reflector<P> | undefined;
  #listed = false;
  #absentAt: number | undefined;
  #refusedAt: number | undefined;
  #failures = 0;

  constructor(options: FeedOptions<T, P>) {
    this.id = options.id;
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  get state(): FeedState {
    // A refusal counts until something is heard after it.
    if (this.#refusedAt !== undefined && performance.now() - this.contactAgeMs() <= this.#refusedAt) return 'refused';
    if (this.#absentAt !== undefined) return 'absent';
    return this.#listed ? 'listed' : 'pending';
  }

  /** Known in full, and the API server was heard lately. */
  synced(): boolean {
    if (this.state === 'absent') return this.contactAgeMs() < STALE_LOOKS * this.#options.lookAgainMs;
    return this.state === 'listed' && (this.#reflector?.synced() ?? false);
  }

  size(): number {
    return this.#reflector?.size() ?? 0;
  }

  /** Milliseconds since the API server said anything of it; Infinity before the first word. */
  contactAgeMs(): number {
    if (this.#absentAt !== undefined) return performance.now() - this.#absentAt;
    return this.#reflector?.contactAgeMs() ?? Infinity;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const resource = await this.#options.find(signal);
        if (resource !== undefined) await this.#follow(resource);
        else {
          this.#absent();
          await wait(this.#options.lookAgainMs * (0.9 + Math.random() / 5), signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#failures += 1;
        const nextInMs = backoffMs(this.#failures, BACKOFF, 0.5 + Math.random() / 2);
        this.#observe({ kind: 'error', resource: this.id, error, failures: this.#failures, nextInMs });
        await wait(nextInMs, signal);
      }
    }
  }

  #absent(): void {
    this.#failures = 0;
    this.#listed = false;
    this.#absentAt = performance.now();
    this.#options.onList([]);
    this.#options.onState();
  }

  /** Until it is stopped. Throws KubeError `not-found` when the collection is there no more. */
  async #follow(resource: Resource): Promise<void> {
    const { client, resyncMs, pageSize, project, onChange, onList, onState } = this.#options;
    const { signal } = this.#stopping;
    const ended = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    const reflector = createReflector<T, P>({
      client,
      resource,
      resyncMs,
      ...(pageSize === undefined ? {} : { pageSize }),
      project,
      onChange,
      onResync: () => {
        this.#failures = 0;
        this.#absentAt = undefined;
        this.#listed = true;
        onList(reflector.values());
        onState();
      },
      observe: (event) => {
        if (event.kind === 'error' && isKubeError(event.error, 'not-found')) ended.reject(event.error);
        else this.#observe(event);
      },
    });
    this.#reflector = reflector;
    if (!signal.aborted) reflector.start();
    try {
      await ended.promise;
    } finally {
      await reflector.stop();
    }
  }

  #observe(event: ReflectorEvent): void {
    if (event.kind === 'error' && isKubeError(event.error, 'forbidden')) {
      this.#refusedAt = performance.now();
      this.#options.onState();
    }
    this.#options.observe({ ...event, resource: this.id });
  }
}
