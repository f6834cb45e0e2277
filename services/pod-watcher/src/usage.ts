import { repositoryName } from '@kuik/image';
import type { Decider, PodFacts } from '@kuik/rules';
import { ImageReadings, imagesOf, type PodImages } from './images-of.ts';
import { isCompleted, type PodView } from './pod-view.ts';

/** A pod that holds an image: as long as it is there, the image stays. */
export interface Holder {
  readonly namespace: string;
  readonly name: string;
  readonly pullSecrets: readonly string[];
  readonly requestId?: string | undefined;
}

export interface UsageOptions {
  /** The rules at the start. */
  readonly decider: Decider;
  /** How long a completed pod still holds its images, ms. */
  readonly completedHoldMs: number;
}

type NamespaceLabels = PodFacts['namespaceLabels'];

interface Known {
  readonly pod: PodView;
  readonly images: PodImages;
  /** The used images, each once. */
  readonly distinct: readonly string[];
  holding: boolean;
}

const NONE: ReadonlyMap<string, Holder> = new Map();

/**
 * Who uses what, kept up to date pod by pod: a change costs what that one pod costs. A pod holds its images while it is pending
 * or runs, and for a configured time after it completed; a pod being deleted holds nothing.
 */
export class UsageIndex {
  readonly #completedHoldMs: number;
  #decider: Decider;
  readonly #readings: ImageReadings;
  readonly #pods = new Map<string, Known>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #holders = new Map<string, Map<string, Holder>>();
  readonly #byRepository = new Map<string, Set<string>>();
  /** Completed pods that still hold, and until when. */
  readonly #ending = new Map<string, number>();

  constructor({ decider, completedHoldMs }: UsageOptions) {
    this.#decider = decider;
    this.#completedHoldMs = completedHoldMs;
    this.#readings = new ImageReadings(decider.proxyPrefixes);
  }

  /** What is put from now on is decided by these rules. */
  decideBy(decider: Decider): void {
    this.#decider = decider;
  }

  /** Takes a pod's newest view in; returns the images whose holders changed. */
  put(pod: PodView, now: number, namespaceLabels?: NamespaceLabels): string[] {
    const key = podKey(pod);
    const before = this.#pods.get(key)?.pod.uid;
    const released = this.remove(key);
    const images = imagesOf(pod, this.#decider, this.#readings, namespaceLabels);
    const known: Known = { pod, images, distinct: [...new Set(images.used.map(({ image }) => image))], holding: false };
    this.#pods.set(key, known);
    addTo(this.#byNamespace, pod.namespace, key);
    for (const { reference } of known.images.used) {
      addTo(this.#byRepository, repositoryName(reference), key);
    }
    const until = holdsUntil(pod, this.#completedHoldMs);
    if (until <= now) return [...released];
    this.#hold(key, known);
    if (until !== Infinity) this.#ending.set(key, until);
    for (const image of known.distinct) {
      // What the same pod held before and holds now did not change.
      if (before === pod.uid && released.has(image)) released.delete(image);
      else released.add(image);
    }
    return [...released];
  }

  /** Forgets a pod (`namespace/name`); returns the images that it held. */
  remove(key: string): Set<string> {
    const changed = new Set<string>();
    const known = this.#pods.get(key);
    if (known === undefined) return changed;
    this.#release(key, known, changed);
    for (const { reference } of known.images.used) {
      removeFrom(this.#byRepository, repositoryName(reference), key);
    }
    removeFrom(this.#byNamespace, known.pod.namespace, key);
    this.#pods.delete(key);
    return changed;
  }

  /** Ends the hold of pods that completed long enough ago; returns the images whose holders changed. */
  expire(now: number): string[] {
    const changed = new Set<string>();
    for (const [key, until] of this.#ending) {
      const known = this.#pods.get(key);
      if (until <= now && known !== undefined) this.#release(key, known, changed);
    }
    return [...changed];
  }

  /** When `expire` has something to do next, epoch ms. */
  nextExpiry(): number | undefined {
    let next: number | undefined;
    for (const until of this.#ending.values()) if (next === undefined || until < next) next = until;
    return next;
  }

  /** The pods that hold an image (canonical text), by `namespace/name`. */
  holdersOf(image: string): ReadonlyMap<string, Holder> {
    return this.#holders.get(image) ?? NONE;
  }

  /** Every image that somebody holds. */
  heldImages(): IterableIterator<string> {
    return this.#holders.keys();
  }

  /** Pods that name a repository (`host/path`) and have not completed, whatever they hold. */
  podsOfRepository(repository: string): PodView[] {
    return [...(this.#byRepository.get(repository) ?? [])].flatMap((key) => {
      const pod = this.#pods.get(key)?.pod;
      return pod === undefined || isCompleted(pod.phase) ? [] : [pod];
    });
  }

  /** The pod of this name, with what became of each of its images. */
  pod(namespace: string, name: string): { readonly pod: PodView; readonly images: PodImages } | undefined {
    return this.#pods.get(`${namespace}/${name}`);
  }

  podKeys(): IterableIterator<string> {
    return this.#pods.keys();
  }

  podsOfNamespace(namespace: string): PodView[] {
    return [...(this.#byNamespace.get(namespace) ?? [])].map((key) => this.#pods.get(key)!.pod);
  }

  podOf(key: string): PodView | undefined {
    return this.#pods.get(key)?.pod;
  }

  /** Sum of holders over all images. */
  get holds(): number {
    let sum = 0;
    for (const holders of this.#holders.values()) sum += holders.size;
    return sum;
  }

  #hold(key: string, known: Known): void {
    known.holding = true;
    const { namespace, name, pullSecrets, requestId } = known.pod;
    const holder: Holder = { namespace, name, pullSecrets, requestId };
    for (const image of known.distinct) {
      const holders = this.#holders.get(image) ?? new Map<string, Holder>();
      this.#holders.set(image, holders.set(key, holder));
    }
  }

  #release(key: string, known: Known, changed: Set<string>): void {
    this.#ending.delete(key);
    if (!known.holding) return;
    known.holding = false;
    for (const image of known.distinct) {
      const holders = this.#holders.get(image);
      if (holders?.delete(key)) changed.add(image);
      if (holders?.size === 0) this.#holders.delete(image);
    }
  }
}

function addTo(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name);
  if (keys === undefined) index.set(name, new Set([key]));
  else keys.add(key);
}

function removeFrom(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name);
  if (keys?.delete(key) && keys.size === 0) index.delete(name);
}

export function podKey(pod: Pick<PodView, 'namespace' | 'name'>): string {
  return `${pod.namespace}/${pod.name}`;
}

/** Until when a pod holds its images: for ever while it may run, never when it is being deleted. */
export function holdsUntil(pod: PodView, completedHoldMs: number): number {
  if (pod.deleting) return -Infinity;
  if (!isCompleted(pod.phase)) return Infinity;
  return (pod.finishedAt ?? 0) + completedHoldMs;
}
