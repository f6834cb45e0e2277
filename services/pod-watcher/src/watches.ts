import type { CachedImage, Repository } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  createReflector,
  type KubeClient,
  type KubeObject,
  NAMESPACES,
  PODS,
  type Reflector,
  type ReflectorEvent,
  type ReflectorOptions,
  REPOSITORIES,
} from '@kuik/kube';
import type { ClusterView, NamespaceLabels } from './cluster-view.ts';
import { keptObject } from './kept-object.ts';
import { type PodObject, type PodView, viewPod } from './pod-view.ts';
import { podKey } from './usage.ts';

/** What the rules look at beyond every pod's images and labels. */
export interface Looks {
  /** Keys of annotations of pods. */
  readonly annotations: readonly string[];
  /** Whether Namespaces are followed, for their labels. */
  readonly namespaces: boolean;
}

export interface WatchesOptions {
  readonly kube: KubeClient;
  readonly view: ClusterView;
  readonly resyncMs: number;
  /** Asked at each (re)start. */
  readonly looks: () => Looks;
  /** All collections are complete, and each time after that when the CachedImages were listed in full again. */
  readonly onResync: () => void;
  readonly observe?: (event: ReflectorEvent) => void;
}

interface NamedLabels {
  readonly name: string;
  readonly labels: NamespaceLabels;
}

interface WatchSet {
  readonly reflectors: readonly Reflector<unknown>[];
  readonly looks: Looks;
  readonly listed: Set<string>;
}

/**
 * Follows pods, CachedImages and Repositories (and Namespaces, when a rule asks for their labels) into the view. `restart` lists everything anew while the view stays usable: a new
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

  /** Begins anew when the rules look at something that was not followed so far. */
  async refit(): Promise<void> {
    const { annotations, namespaces } = this.#options.looks();
    const has = this.#current?.looks;
    if (has === undefined) return;
    const enough = annotations.every((key) => has.annotations.includes(key)) && (has.namespaces || !namespaces);
    if (!enough) await this.restart();
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
    const names = ['pods', 'cachedimages', 'repositories', 'namespaces'];
    return (this.#current?.reflectors ?? []).map((reflector, index) => ({
      resource: names[index]!,
      objects: reflector.size(),
      contactAgeMs: reflector.contactAgeMs(),
    }));
  }

  #open(): WatchSet {
    const { kube: client, view, resyncMs, observe } = this.#options;
    const reflectors: Reflector<unknown>[] = [];
    const looks = this.#options.looks();
    const set: WatchSet = { reflectors, looks, listed: new Set() };
    const shared = { client, resyncMs, ...(observe === undefined ? {} : { observe }) };
    const listed = (resource: string): void => {
      if (this.#current !== set) return;
      const before = this.complete();
      set.listed.add(resource);
      // What a relist of pods changed is told change by change.
      if (this.complete() && (!before || resource === CACHED_IMAGES.plural)) this.#options.onResync();
    };
    const open = <T extends CachedImage | Repository | PodObject | KubeObject, P>(
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
        project: (pod) => viewPod(pod, looks.annotations),
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
        project: (object) => keptObject(object, CACHED_IMAGES),
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
        project: (object) => keptObject(object, REPOSITORIES),
        onChange: ({ old, now }) => {
          if (now !== undefined) view.putRepository(now);
          else if (old !== undefined) view.removeRepository(old);
        },
      },
      (repositories) => view.repositoriesListed(repositories),
    );
    if (looks.namespaces) {
      open<KubeObject, NamedLabels>(
        {
          resource: NAMESPACES,
          project: ({ metadata: { name, labels = {} } }) => ({ name, labels }),
          onChange: ({ old, now }) => {
            if (now !== undefined) view.putNamespace(now.name, now.labels);
            else if (old !== undefined) view.removeNamespace(old.name);
          },
        },
        () => undefined,
      );
    }
    for (const reflector of reflectors) reflector.start();
    return set;
  }
}
