import type { CachedImage, Repository } from '@kuik/contracts';
import { type Reference, repositoryName, tryParseReference } from '@kuik/image';
import type { Decider } from '@kuik/rules';
import { holderKey, type HolderView } from './holder-view.ts';
import { imageIdentity, repositoryIdentity } from './identity.ts';
import { KeysByName } from './keys-by-name.ts';
import { isPod, type PodView } from './pod-view.ts';
import { ResourceIndex } from './resource-index.ts';
import { sameJson } from './same-json.ts';
import { isGone, upstreamView } from './upstream-view.ts';
import { UsageIndex, type UsageOptions } from './usage.ts';

export type NamespaceLabels = Readonly<Record<string, string>>;

/** Told of what changed in the view. */
export interface ViewListener {
  /** Holders, object or wish of an image (canonical text). */
  imageChanged?(image: string): void;
  /** A repository's object or images. */
  repositoryChanged?(repository: string): void;
  /** An object was seen in a newer state. */
  imageSeen?(before: CachedImage | undefined, now: CachedImage): void;
  imageGone?(image: CachedImage): void;
  repositorySeen?(before: Repository | undefined, now: Repository): void;
  /** A full list took the place of what was known of images or repositories; what it changed is not told one by one. */
  relisted?(): void;
  /** A pod or workload was seen in a newer state. */
  holderChanged?(holder: HolderView): void;
  /** A pod was seen in a newer state; `before` is undefined when it is new, `now` when it is gone. */
  podSeen?(before: PodView | undefined, now: PodView | undefined): void;
}

/** Everything this service knows of the cluster: pods and workloads by what they use, CachedImages and Repositories by what they stand for. */
export class ClusterView {
  readonly usage: UsageIndex;
  readonly images = new ResourceIndex<CachedImage>(imageIdentity);
  readonly repositories = new ResourceIndex<Repository>(repositoryIdentity);
  /** Labels of the namespaces that are followed; none are unless a rule asks for them. */
  readonly #namespaces = new Map<string, NamespaceLabels>();
  readonly #imagesByRepository = new KeysByName();
  readonly #imagesByHost = new KeysByName();
  readonly #repositoriesByHost = new KeysByName();
  readonly #listeners = new Set<ViewListener>();
  readonly #now: () => number;

  constructor(options: UsageOptions, now: () => number) {
    this.usage = new UsageIndex(options);
    this.#now = now;
  }

  /** Returns how to stop listening. */
  listen(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Decides by other rules from now on. What is known is decided anew one by one, by `rereadHolder`. */
  decideBy(decider: Decider): void {
    this.usage.decideBy(decider);
  }

  /** Decides a known pod or workload (by its `holderKey`) anew. */
  rereadHolder(key: string): void {
    const holder = this.usage.holderOf(key);
    if (holder !== undefined) this.#reread(holder);
  }

  /** Takes the labels of a namespace in; who is in it is decided anew when they changed. */
  putNamespace(name: string, labels: NamespaceLabels): void {
    const before = this.#namespaces.get(name);
    this.#namespaces.set(name, labels);
    if (before !== undefined && sameJson(before, labels)) return;
    for (const holder of this.usage.holdersOfNamespace(name)) this.#reread(holder);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  putHolder(holder: HolderView): void {
    const before = this.usage.holderOf(holderKey(holder));
    const changed = this.#put(holder);
    for (const listener of this.#listeners) listener.holderChanged?.(holder);
    this.#podSeen(before, holder);
    this.#imagesChanged(changed);
  }

  /** By its `holderKey`. */
  removeHolder(key: string): void {
    const before = this.usage.holderOf(key);
    this.#imagesChanged(this.usage.remove(key, this.#now()));
    this.#podSeen(before, undefined);
  }

  /** A full list of one collection: forgets those of it that it does not hold. */
  holdersListed(source: string, holders: Iterable<HolderView>): void {
    const listed = new Set<string>();
    for (const holder of holders) listed.add(holderKey(holder));
    for (const key of this.usage.keysOf(source)) if (!listed.has(key)) this.removeHolder(key);
  }

  /** Ends the hold of pods and jobs that completed long enough ago. */
  expireHolders(): void {
    this.#imagesChanged(this.usage.expire(this.#now()));
  }

  /** Takes in what a watch showed or a write of ours returned. */
  putImage(image: CachedImage): void {
    const taken = this.images.put(image);
    if (taken === false) return;
    for (const listener of this.#listeners) listener.imageSeen?.(taken.before, image);
    this.#objectChanged(image);
  }

  removeImage(image: CachedImage): void {
    if (!this.images.remove(image)) return;
    for (const listener of this.#listeners) listener.imageGone?.(image);
    this.#objectChanged(image);
  }

  imagesListed(images: Iterable<CachedImage>): void {
    this.images.replaceAll(images);
    this.#imagesByRepository.clear();
    this.#imagesByHost.clear();
    for (const identity of this.images.identities()) this.#relate(identity);
    for (const listener of this.#listeners) listener.relisted?.();
  }

  putRepository(repository: Repository): void {
    const taken = this.repositories.put(repository);
    if (taken === false) return;
    for (const listener of this.#listeners) listener.repositorySeen?.(taken.before, repository);
    const identity = repositoryIdentity(repository);
    this.#repositoriesByHost.add(hostOf(identity), identity);
    this.#repositoryChanged(identity);
    // When upstream is asked again is a Repository's to say.
    if (!sameJson(updatesOf(taken.before), updatesOf(repository))) {
      this.#imagesChanged(this.imagesOfRepository(identity).map(imageIdentity));
    }
  }

  removeRepository(repository: Repository): void {
    if (!this.repositories.remove(repository)) return;
    const identity = repositoryIdentity(repository);
    if (this.repositories.of(identity).length === 0) this.#repositoriesByHost.remove(hostOf(identity), identity);
    this.#repositoryChanged(identity);
    // Its images are looked at again: they need a Repository.
    this.#imagesChanged(this.imagesOfRepository(identity).map(imageIdentity));
  }

  repositoriesListed(repositories: Iterable<Repository>): void {
    this.repositories.replaceAll(repositories);
    this.#repositoriesByHost.clear();
    for (const identity of this.repositories.identities()) this.#repositoriesByHost.add(hostOf(identity), identity);
    for (const listener of this.#listeners) listener.relisted?.();
  }

  /** Every image that has an object or a holder. */
  allImages(): Set<string> {
    const all = new Set(this.images.identities());
    for (const image of this.usage.heldImages()) all.add(image);
    return all;
  }

  /** The CachedImages of a repository, duplicates left out. */
  imagesOfRepository(repository: string): CachedImage[] {
    return this.#imagesByRepository.of(repository).flatMap((image) => this.images.of(image).slice(0, 1));
  }

  /** Whether a pod, a workload or a resource of ours names anything of a registry. */
  namesHost(host: string): boolean {
    return this.usage.namesHost(host) || this.#imagesByHost.has(host) || this.#repositoriesByHost.has(host);
  }

  /** An image of a repository, by the digest or tag that it is used by; one that upstream does not have only when there is no other. */
  referenceIn(repository: string): string | undefined {
    const images = this.imagesOfRepository(repository);
    const image = images.find((one) => !isGone(upstreamView(one))) ?? images[0];
    const named = image === undefined ? undefined : tryParseReference(image.spec.sourceImage);
    const found = named ?? this.#referenceUsedIn(repository);
    return found?.digest ?? found?.tag;
  }

  #referenceUsedIn(repository: string): Reference | undefined {
    for (const pod of this.usage.podsOfRepository(repository)) {
      const used = this.usage.imagesOf(pod)?.used.find(({ reference }) => repositoryName(reference) === repository);
      if (used !== undefined) return used.reference;
    }
    return undefined;
  }

  #put(holder: HolderView): string[] {
    return this.usage.put(holder, this.#now(), this.#namespaces.get(holder.namespace));
  }

  #reread(holder: HolderView): void {
    this.#imagesChanged(this.#put(holder));
  }

  #objectChanged(image: CachedImage): void {
    const identity = imageIdentity(image);
    const repository = this.#relate(identity);
    this.#imagesChanged([identity]);
    if (repository !== undefined) this.#repositoryChanged(repository);
  }

  #relate(identity: string): string | undefined {
    const reference = tryParseReference(identity);
    if (reference === undefined) return undefined;
    const repository = repositoryName(reference);
    const does = this.images.of(identity).length > 0 ? 'add' : 'remove';
    this.#imagesByRepository[does](repository, identity);
    this.#imagesByHost[does](reference.host, identity);
    return repository;
  }

  #podSeen(before: HolderView | undefined, now: HolderView | undefined): void {
    const [was, is] = [before, now].map((holder) => (holder !== undefined && isPod(holder) ? holder : undefined));
    if (was === undefined && is === undefined) return;
    for (const listener of this.#listeners) listener.podSeen?.(was, is);
  }

  #imagesChanged(images: Iterable<string>): void {
    for (const image of images) for (const listener of this.#listeners) listener.imageChanged?.(image);
  }

  #repositoryChanged(repository: string): void {
    for (const listener of this.#listeners) listener.repositoryChanged?.(repository);
  }
}

/** Of a repository's name. */
function hostOf(identity: string): string {
  return identity.split('/', 1)[0]!;
}

function updatesOf(repository: Repository | undefined): readonly unknown[] {
  const { updateInterval, updateFilters, checkOnPull, checkInterval } = repository?.spec ?? {};
  return [updateInterval, updateFilters, checkOnPull, checkInterval];
}
