import { parseRepository, repositoryName } from '@kuik/image';
import type { Leadership } from '@kuik/kube';
import type { Logger, Part } from '@kuik/runtime';
import type { AccessBroker } from './access-broker.ts';
import type { ClusterView } from './cluster-view.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { PodView } from './pod-view.ts';

export interface ForeseeAccessParts {
  readonly leadership: Pick<Leadership, 'isLeader'>;
  readonly view: Pick<ClusterView, 'listen' | 'usage'>;
  readonly access: Pick<AccessBroker, 'foresee' | 'awaitsCopy'>;
  readonly now: () => number;
  readonly log: Logger;
  readonly onFailure: (loop: string, error: unknown) => void;
}

/** Pods of a full list are old mostly: only for those that are about to pull upstream is asked ahead. */
const NEW_FOR_MS = 60_000;
const CONCURRENCY = 2;
/** For so long a new image's first copy is waited for: it may say that the repository is public, and upstream is not asked. A thousand images take that long. */
const COPY_WAIT_MS = 60_000;

/**
 * Finds out what a new pod may pull while it is still being scheduled: then its first pull waits for nobody, and what was proven is known before
 * upstream goes away. The leader does; a verdict that is known costs nothing. Where a first copy is under way its word comes first.
 */
export class ForeseeAccess implements Part {
  readonly name = 'foresee-access';
  readonly #parts: ForeseeAccessParts;
  readonly #queue: KeyedQueue;
  /** Keys that wait for the first copy of an image, by repository. */
  readonly #waiting = new Map<string, Set<string>>();
  #stopListening: (() => void) | undefined;

  constructor(parts: ForeseeAccessParts) {
    this.#parts = parts;
    this.#queue = new KeyedQueue({
      concurrency: CONCURRENCY,
      spacingMs: 0,
      backoff: { firstMs: 1_000, maxMs: 60_000 },
      work: async (key) => {
        const [repository, namespace, serviceAccount] = key.split(' ') as [string, string, string];
        this.#waiting.delete(repository);
        await parts.access.foresee(parseRepository(repository), { namespace, serviceAccount });
        return undefined;
      },
      onFailure: ({ key, error }) => {
        parts.onFailure(this.name, error);
        parts.log.debug('access not foreseen', { key, error });
      },
    });
  }

  start(): Promise<void> {
    this.#queue.open();
    this.#stopListening = this.#parts.view.listen({
      podSeen: (before, pod) => {
        if (before === undefined && pod !== undefined) this.#see(pod);
      },
      repositoryChanged: (repository) => this.#copied(repository),
    });
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#stopListening?.();
    await this.#queue.close();
  }

  #see(pod: PodView): void {
    const { leadership, view, access, now } = this.#parts;
    if (pod.showsGrant !== true || now() - (pod.createdAt ?? 0) > NEW_FOR_MS || !leadership.isLeader()) return;
    for (const { reference } of view.usage.imagesOf(pod)?.used ?? []) {
      const repository = repositoryName(reference);
      const key = `${repository} ${pod.namespace} ${pod.serviceAccount}`;
      if (!access.awaitsCopy(reference)) {
        this.#queue.add(key);
        continue;
      }
      const keys = this.#waiting.get(repository) ?? new Set();
      this.#waiting.set(repository, keys.add(key));
      this.#queue.add(key, COPY_WAIT_MS);
    }
  }

  #copied(repository: string): void {
    const keys = this.#waiting.get(repository);
    if (keys === undefined || this.#parts.access.awaitsCopy(parseRepository(repository))) return;
    this.#waiting.delete(repository);
    for (const key of keys) this.#queue.add(key);
  }
}
