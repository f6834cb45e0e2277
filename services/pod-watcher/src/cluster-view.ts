import type { CachedImage, Repository } from '@kuik/contracts';
import { repositoryName, tryParseReference } from '@kuik/image';
import type { Decider } from '@kuik/rules';
import { imageIdentity, repositoryIdentity } from './identity.ts';
import type { PodView } from './pod-view.ts';
import { ResourceIndex } from './resource-index.ts';
import { sameJson } from './same-json.ts';
import { podKey, UsageIndex, type UsageOptions } from './usage.ts';

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
  podChanged?(pod: PodView): void;
  /** A full list took the place of what was known of images or repositories; what it changed is not told one by one. */
  relisted?(): void;
}

/** Everything this service knows of the cluster: pods by what they use, CachedImages and Repositories by what they stand for. */
export class ClusterView {
  readonly usage: UsageIndex;
  readonly images = new ResourceIndex<CachedImage>(imageIdentity);
  readonly repositories = new ResourceIndex<Repository>(repositoryIdentity);
  /** Labels of the namespaces that are followed; none are unless a rule asks for them. */
  readonly #namespaces = new Map<string, NamespaceLabels>();
  readonly #imagesByRepository = new Map<string, Set<string>>();
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

  /** Decides by other rules from now on. What is known is decided anew pod by pod, by `rereadPod`. */
  decideBy(decider: Decider): void {
    this.usage.decideBy(decider);
  }

  /** Decides a known pod (`namespace/name`) anew. */
  rereadPod(key: string): void {
    const pod = this.usage.podOf(key);
    if (pod !== undefined) this.#reread(pod);
  }

  /** Takes the labels of a namespace in; its pods are decided anew when they changed. */
  putNamespace(name: string, labels: NamespaceLabels): void {
    const before = this.#namespaces.get(name);
    this.#namespaces.set(name, labels);
    if (before !== undefined && sameJson(before, labels)) return;
    for (const pod of this.usage.podsOfNamespace(name)) this.#reread(pod);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  putPod(pod: PodView): void {
    const changed = this.#put(pod);
    for (const listener of this.#listeners) listener.podChanged?.(pod);
    this.#imagesChanged(changed);
  }

  removePod(key: string): void {
    this.#imagesChanged(this.usage.remove(key));
  }

  /** A full list: forgets the pods that it does not hold. */
  podsListed(pods: Iterable<PodView>): void {
    const listed = new Set<string>();
    for (const pod of pods) listed.add(podKey(pod));
    for (const key of [...this.usage.podKeys()]) if (!listed.has(key)) this.removePod(key);
  }

  /** Ends the hold of pods that completed long enough ago. */
  expirePods(): void {
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
    for (const identity of this.images.identities()) this.#relate(identity);
    for (const listener of this.#listeners) listener.relisted?.();
  }

  putRepository(repository: Repository): void {
    const taken = this.repositories.put(repository);
    if (taken === false) return;
    for (const listener of this.#listeners) listener.repositorySeen?.(taken.before, repository);
    const identity = repositoryIdentity(repository);
    this.#repositoryChanged(identity);
    // When upstream is asked again is a Repository's to say.
    if (!sameJson(updatesOf(taken.before), updatesOf(repository))) {
      this.#imagesChanged(this.imagesOfRepository(identity).map(imageIdentity));
    }
  }

  removeRepository(repository: Repository): void {
    if (!this.repositories.remove(repository)) return;
    const identity = repositoryIdentity(repository);
    this.#repositoryChanged(identity);
    // Its images are looked at again: they need a Repository.
    this.#imagesChanged(this.imagesOfRepository(identity).map(imageIdentity));
  }

  repositoriesListed(repositories: Iterable<Repository>): void {
    this.repositories.replaceAll(repositories);
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
    return [...(this.#imagesByRepository.get(repository) ?? [])].flatMap((image) => this.images.of(image).slice(0, 1));
  }

  #put(pod: PodView): string[] {
    return this.usage.put(pod, this.#now(), this.#namespaces.get(pod.namespace));
  }

  #reread(pod: PodView): void {
    this.#imagesChanged(this.#put(pod));
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
    const images = this.#imagesByRepository.get(repository) ?? new Set();
    if (this.images.of(identity).length > 0) this.#imagesByRepository.set(repository, images.add(identity));
    else if (images.delete(identity) && images.size === 0) this.#imagesByRepository.delete(repository);
    return repository;
  }

  #imagesChanged(images: Iterable<string>): void {
    for (const image of images) for (const listener of this.#listeners) listener.imageChanged?.(image);
  }

  #repositoryChanged(repository: string): void {
    for (const listener of this.#listeners) listener.repositoryChanged?.(repository);
  }
}

function updatesOf(repository: Repository | undefined): readonly unknown[] {
  return [repository?.spec.updateInterval, repository?.spec.updateFilters];
}
