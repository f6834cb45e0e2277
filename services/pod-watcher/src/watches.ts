import { type CachedImage, GROUP, type Repository, VERSION } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  createReflector,
  type KubeClient,
  PODS,
  type Reflector,
  type ReflectorEvent,
  type ReflectorOptions,
  REPOSITORIES,
  type Resource,
} from '@kuik/kube';
import type { ClusterView } from './cluster-view.ts';
import { type PodObject, type PodView, viewPod } from './pod-view.ts';
import { podKey } from './usage.ts';

export interface WatchesOptions {
  readonly kube: KubeClient;
  readonly view: ClusterView;
  readonly resyncMs: number;
  /** All three collections are complete, and each time after that when the CachedImages were listed in full again. */
  readonly onResync: () => void;
  readonly observe?: (event: ReflectorEvent) => void;
}

interface WatchSet {
  readonly reflectors: readonly Reflector<unknown>[];
  readonly listed: Set<string>;
}

/**
 * Follows pods, CachedImages and Repositories into the view. `restart` lists everything anew while the view stays usable: a new
 * leader decides only on what it saw since it leads.
 */
export class Watches {
  readonly #options: WatchesOptions;
  #current: WatchSet | undefined;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#current ??= this.#open();
  }

  /** Begins anew with full lists. Await `complete` to know when they are in. */
  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  async stop(): Promise<void> {
    const { reflectors = [] } = this.#current ?? {};
    this.#current = undefined;
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  }

  /** Every collection was listed since the last (re)start. */
  complete(): boolean {
    return this.#current !== undefined && this.#current.listed.size === this.#current.reflectors.length;
  }

  /** Complete, and every watch heard of the API server lately. */
  synced(): boolean {
    return this.complete() && (this.#current?.reflectors ?? []).every((reflector) => reflector.synced());
  }

  /** Objects and silence per collection, for metrics. */
  state(): { resource: string; objects: number; contactAgeMs: number }[] {
    const names = ['pods', 'cachedimages', 'repositories'];
    return (this.#current?.reflectors ?? []).map((reflector, index) => ({
      resource: names[index]!,
      objects: reflector.size(),
      contactAgeMs: reflector.contactAgeMs(),
    }));
  }

  #open(): WatchSet {
    const { kube: client, view, resyncMs, observe } = this.#options;
    const reflectors: Reflector<unknown>[] = [];
    const set: WatchSet = { reflectors, listed: new Set() };
    const shared = { client, resyncMs, ...(observe === undefined ? {} : { observe }) };
    const listed = (resource: string): void => {
      if (this.#current !== set) return;
      const before = this.complete();
      set.listed.add(resource);
      // What a relist of pods changed is told change by change.
      if (this.complete() && (!before || resource === CACHED_IMAGES.plural)) this.#options.onResync();
    };
    const open = <T extends CachedImage | Repository | PodObject, P>(
      options: Omit<ReflectorOptions<T, P>, 'client' | 'onResync'>,
      onList: (values: Iterable<P>) => void,
    ): void => {
      const reflector = createReflector<T, P>({
        ...shared,
        ...options,
        onResync: () => {
          onList(reflector.values());
          listed(options.resource.plural);
        },
      });
      reflectors.push(reflector);
    };
    open<PodObject, PodView>(
      {
        resource: PODS,
        project: viewPod,
        onChange: ({ old, now }) => {
          if (now !== undefined) view.putPod(now);
          else if (old !== undefined) view.removePod(podKey(old));
        },
      },
      (pods) => view.podsListed(pods),
    );
    open<CachedImage, CachedImage>(
      {
        resource: CACHED_IMAGES,
        project: (object) => slim(object, CACHED_IMAGES),
        onChange: ({ old, now }) => {
          if (now !== undefined) view.putImage(now);
          else if (old !== undefined) view.removeImage(old);
        },
      },
      (images) => view.imagesListed(images),
    );
    open<Repository, Repository>(
      {
        resource: REPOSITORIES,
        project: (object) => slim(object, REPOSITORIES),
        onChange: ({ old, now }) => {
          if (now !== undefined) view.putRepository(now);
          else if (old !== undefined) view.removeRepository(old);
        },
      },
      (repositories) => view.repositoriesListed(repositories),
    );
    for (const reflector of reflectors) reflector.start();
    return set;
  }
}

/** Without what the API server keeps for itself (most of an object's size); with its kind, which items of a list lack. */
function slim<T extends CachedImage | Repository>(object: T, { kind }: Resource): T {
  const { managedFields: _managed, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown };
  return { ...object, apiVersion: `${GROUP}/${VERSION}`, kind, metadata };
}
