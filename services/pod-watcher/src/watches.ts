import type { CachedImage, Repository } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  discoverResource,
  type KubeClient,
  type KubeObject,
  NAMESPACES,
  PODS,
  type ReflectorEvent,
  REPOSITORIES,
  type Resource,
} from '@kuik/kube';
import type { ClusterView, NamespaceLabels } from './cluster-view.ts';
import { type ConfiguredKind, kindName, viewConfigured } from './configured-kind.ts';
import { Feed, type FeedOptions, type FeedState } from './feed.ts';
import { holderKey, type HolderView } from './holder-view.ts';
import { keptObject } from './kept-object.ts';
import { type HolderKnowledge, knowledgeOf } from './knowledge.ts';
import { type PodObject, viewPod } from './pod-view.ts';
import { type WorkloadObject, WORKLOADS } from './workloads.ts';

/** What the rules look at beyond every pod's images and labels. */
export interface Looks {
  /** Keys of annotations of pods and templates. */
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
  /** Kinds that hold images, beside Kubernetes' own. */
  readonly kinds: readonly ConfiguredKind[];
  /** How long after a kind was not found it is looked for again, ms. */
  readonly lookAgainMs: number;
  /** How long workloads are waited for before work begins without them, ms. */
  readonly patienceMs: number;
  /**
   * It is ready for the first time, and each time after that when the CachedImages were listed in full again or what is known of the
   * holders is more or less than before.
   */
  readonly onResync: () => void;
  readonly observe?: (event: ReflectorEvent) => void;
}

/** All lists begin together, and a workload is several times the size of what is kept of it: small pages keep the sum of them small. */
const WORKLOADS_PAGE = 100;

const NOT_SEEN: Readonly<Partial<Record<FeedState, string>>> = {
  refused: 'may not be listed and watched: grant it, or take it out of usage.kinds; until then no image is removed',
  absent: 'is served in no version, so nothing of it holds an image: install its CRD, or correct usage.kinds',
};

type AnyFeed = Pick<Feed<never, unknown>, 'id' | 'start' | 'stop' | 'state' | 'synced' | 'size' | 'contactAgeMs'>;

interface NamedLabels {
  readonly name: string;
  readonly labels: NamespaceLabels;
}

interface WatchSet {
  readonly looks: Looks;
  /** Pods, our own resources, and the namespaces that rules select by: without them there is nothing to decide on. */
  readonly core: AnyFeed[];
  readonly workloads: AnyFeed[];
  /** What was told last. */
  told: string | undefined;
  patient: boolean;
  timer?: NodeJS.Timeout;
}

/**
 * Follows everything that holds images, our own resources, and Namespaces when a rule asks for their labels, into the view. `restart` lists everything anew while the view stays
 * usable: a new leader decides only on what it saw since it leads.
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

  /** Begins anew with full lists. */
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
    const set = this.#current;
    this.#current = undefined;
    clearTimeout(set?.timer);
    await Promise.all(feedsOf(set).map((feed) => feed.stop()));
  }

  /** Pods and our own resources were listed since the last (re)start; workloads as well, or they keep us waiting for too long. */
  ready(): boolean {
    const set = this.#current;
    if (set === undefined || !set.core.every(({ state }) => state === 'listed')) return false;
    return !set.patient || this.holders().state !== 'pending';
  }

  /** How much is known of who holds images, since the last (re)start. */
  holders(): HolderKnowledge {
    return knowledgeOf(feedsOf(this.#current));
  }

  /** Every collection is known in full since the last (re)start, and every watch heard of the API server lately. */
  synced(): boolean {
    return this.#current !== undefined && feedsOf(this.#current).every((feed) => feed.synced());
  }

  /** What each collection is known as, for metrics and for people. */
  state(): { resource: string; objects: number; contactAgeMs: number; state: FeedState; synced: boolean }[] {
    return feedsOf(this.#current).map((feed) => ({
      resource: feed.id,
      objects: feed.size(),
      contactAgeMs: feed.contactAgeMs(),
      state: feed.state,
      synced: feed.synced(),
    }));
  }

  /** What is not seen, in words for people; the service works on. Without what may not be read no image is removed, what is not served holds none. */
  warnings(): { part: string; reason: string }[] {
    return feedsOf(this.#current).flatMap(({ id, state }) => {
      const why = NOT_SEEN[state];
      return why === undefined ? [] : [{ part: 'watches', reason: `${id} ${why}` }];
    });
  }

  #open(): WatchSet {
    const { view, kinds, patienceMs } = this.#options;
    const looks = this.#options.looks();
    const set: WatchSet = { looks, core: [], workloads: [], told: undefined, patient: true };
    // Before the feeds: one that is opened may tell at once.
    this.#current = set;
    set.core.push(
      this.#holders<PodObject>(set, PODS.plural, fixed(PODS), (pod) => viewPod(pod, looks.annotations)),
      this.#objects<CachedImage>(set, CACHED_IMAGES, {
        put: (image) => view.putImage(image),
        remove: (image) => view.removeImage(image),
        listed: (images) => view.imagesListed(images),
      }),
      this.#objects<Repository>(set, REPOSITORIES, {
        put: (repository) => view.putRepository(repository),
        remove: (repository) => view.removeRepository(repository),
        listed: (repositories) => view.repositoriesListed(repositories),
      }),
    );
    if (looks.namespaces) set.core.push(this.#namespaces(set));
    set.workloads.push(
      ...WORKLOADS.map((kind) =>
        this.#holders<WorkloadObject>(set, kind.resource.plural, fixed(kind.resource), (object) =>
          kind.view(object, looks.annotations),
        ),
      ),
      ...kinds.map((kind) => this.#configured(set, kind)),
    );
    set.timer = setTimeout(() => {
      set.patient = false;
      this.#judge(set);
    }, patienceMs);
    for (const feed of feedsOf(set)) feed.start();
    return set;
  }

  #configured(set: WatchSet, kind: ConfiguredKind): AnyFeed {
    const { kube } = this.#options;
    const find = (signal: AbortSignal): Promise<Resource | undefined> => discoverResource(kube, kind, { signal });
    return this.#holders<KubeObject>(set, kindName(kind), find, (object) =>
      viewConfigured(kind, object, set.looks.annotations),
    );
  }

  #holders<T extends KubeObject>(
    set: WatchSet,
    source: string,
    find: FeedOptions<T, HolderView>['find'],
    project: (object: T) => HolderView,
  ): AnyFeed {
    const { view } = this.#options;
    return new Feed<T, HolderView>({
      ...this.#shared(set, source, find),
      ...(source === PODS.plural ? {} : { pageSize: WORKLOADS_PAGE }),
      project,
      onChange: ({ old, now }) => {
        if (now !== undefined) view.putHolder(now);
        else if (old !== undefined) view.removeHolder(holderKey(old));
      },
      onList: (holders) => view.holdersListed(source, holders),
    });
  }

  #namespaces(set: WatchSet): AnyFeed {
    const { view } = this.#options;
    return new Feed<KubeObject, NamedLabels>({
      ...this.#shared(set, NAMESPACES.plural, fixed(NAMESPACES)),
      project: ({ metadata: { name, labels = {} } }) => ({ name, labels }),
      onChange: ({ old, now }) => {
        if (now !== undefined) view.putNamespace(now.name, now.labels);
        else if (old !== undefined) view.removeNamespace(old.name);
      },
      onList: () => undefined,
    });
  }

  #objects<T extends CachedImage | Repository>(
    set: WatchSet,
    resource: Resource,
    to: { put(object: T): void; remove(object: T): void; listed(objects: Iterable<T>): void },
  ): AnyFeed {
    return new Feed<T, T>({
      ...this.#shared(set, resource.plural, fixed(resource)),
      project: (object) => keptObject(object, resource),
      onChange: ({ old, now }) => {
        if (now !== undefined) to.put(now);
        else if (old !== undefined) to.remove(old);
      },
      onList: (objects) => {
        to.listed(objects);
        // What a relist of the others changed is told change by change.
        if (resource === CACHED_IMAGES) set.told = undefined;
      },
    });
  }

  #shared<T extends KubeObject, P>(set: WatchSet, id: string, find: FeedOptions<T, P>['find']) {
    const { kube: client, resyncMs, lookAgainMs, observe } = this.#options;
    const onState = (): void => this.#judge(set);
    return { id, client, resyncMs, lookAgainMs, find, onState, observe: (event: ReflectorEvent) => observe?.(event) };
  }

  #judge(set: WatchSet): void {
    if (this.#current !== set || !this.ready()) return;
    const { state, unread } = this.holders();
    const known = state === 'partial' ? unread.join(' ') : state;
    if (known === set.told) return;
    set.told = known;
    this.#options.onResync();
  }
}

function feedsOf(set: WatchSet | undefined): AnyFeed[] {
  return set === undefined ? [] : [...set.core, ...set.workloads];
}

function fixed(resource: Resource): () => Promise<Resource> {
  return () => Promise.resolve(resource);
}
