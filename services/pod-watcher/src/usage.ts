import { repositoryName } from '@kuik/image';
import type { Decider, PodFacts } from '@kuik/rules';
import { holderKey, type HolderView } from './holder-view.ts';
import { ImageReadings, imagesOf, type PodImages } from './images-of.ts';
import { KeysByName } from './keys-by-name.ts';
import { isPod, PODS_SOURCE, type PodView } from './pod-view.ts';
import { Revisions } from './revisions.ts';

/** Who holds an image: as long as it is there, the image stays. */
export interface Holder {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly pullSecrets: readonly string[];
  readonly requestId?: string | undefined;
  /** It wants the tag's newest image whenever it is pulled. */
  readonly always?: true;
}

export interface UsageOptions {
  /** The rules at the start. */
  readonly decider: Decider;
  /** How long a completed pod or job still holds its images, ms. */
  readonly completedHoldMs: number;
  /** How many revisions before the current one hold their images, of each owner. */
  readonly revisionsKept: number;
}

type NamespaceLabels = PodFacts['namespaceLabels'];

interface Known {
  readonly holder: HolderView;
  readonly images: PodImages;
  /** The used images, each once. */
  readonly distinct: readonly string[];
  holding: boolean;
}

const NONE: ReadonlyMap<string, Holder> = new Map();

/**
 * Who uses what, kept up to date object by object: a change costs what that one object costs. A pod holds its images while it is pending or
 * runs, a workload for as long as it is there, with pods or without; both for a configured time after all was done. A revision that
 * nobody goes back to and what is being deleted hold nothing.
 */
export class UsageIndex {
  readonly #completedHoldMs: number;
  #decider: Decider;
  readonly #readings: ImageReadings;
  readonly #revisions: Revisions;
  readonly #known = new Map<string, Known>();
  readonly #byNamespace = new KeysByName();
  readonly #holders = new Map<string, Map<string, Holder>>();
  readonly #byRepository = new KeysByName();
  readonly #byHost = new KeysByName();
  readonly #holdsByKind = new Map<string, number>();
  /** Completed ones that still hold, and until when. */
  readonly #ending = new Map<string, number>();

  constructor({ decider, completedHoldMs, revisionsKept }: UsageOptions) {
    this.#decider = decider;
    this.#completedHoldMs = completedHoldMs;
    this.#readings = new ImageReadings(decider.proxyPrefixes);
    this.#revisions = new Revisions(revisionsKept);
  }

  /** What is put from now on is decided by these rules. */
  decideBy(decider: Decider): void {
    this.#decider = decider;
  }

  /** Takes a holder's newest view in; returns the images whose holders changed. */
  put(holder: HolderView, now: number, namespaceLabels?: NamespaceLabels): string[] {
    const key = holderKey(holder);
    const was = this.#known.get(key);
    const before = was?.holder;
    const changed = new Set<string>();
    this.#forget(key, changed);
    const images = imagesOf(holder, this.#decider, this.#readings, namespaceLabels);
    const distinct = [...new Set(images.used.map(({ image }) => image))];
    const known: Known = { holder, images, distinct, holding: false };
    this.#known.set(key, known);
    this.#byNamespace.add(holder.namespace, key);
    for (const { reference } of images.used) {
      this.#byRepository.add(repositoryName(reference), key);
      this.#byHost.add(reference.host, key);
    }
    const others: string[] = [];
    const { revision } = holder;
    if (before?.revision !== undefined && before.revision.owner !== revision?.owner) {
      others.push(...this.#revisions.remove(key, before.revision));
    }
    if (revision !== undefined) others.push(...this.#revisions.put(key, revision));
    this.#settle(key, now, changed, before?.uid === holder.uid);
    for (const other of others) this.#settle(other, now, changed);
    // The same image, pulled in another way from now on.
    if (was !== undefined) {
      const [pulled, pulls] = [alwaysOf(was.images), alwaysOf(images)];
      for (const image of distinct) if (pulled.has(image) !== pulls.has(image)) changed.add(image);
    }
    return [...changed];
  }

  /** Forgets a holder by its key; returns the images whose holders changed. */
  remove(key: string, now: number): Set<string> {
    const changed = new Set<string>();
    const revision = this.#known.get(key)?.holder.revision;
    this.#forget(key, changed);
    if (revision !== undefined) {
      for (const other of this.#revisions.remove(key, revision)) this.#settle(other, now, changed);
    }
    return changed;
  }

  /** Ends the hold of those that completed long enough ago; returns the images whose holders changed. */
  expire(now: number): string[] {
    const changed = new Set<string>();
    for (const [key, until] of this.#ending) {
      const known = this.#known.get(key);
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

  /** Who holds an image (canonical text), by key. */
  holdersOf(image: string): ReadonlyMap<string, Holder> {
    return this.#holders.get(image) ?? NONE;
  }

  /** Every image that somebody holds. */
  heldImages(): IterableIterator<string> {
    return this.#holders.keys();
  }

  /** Pods that name a repository (`host/path`) and have not completed, whatever they hold. */
  podsOfRepository(repository: string): PodView[] {
    return this.#ofRepository(repository).flatMap(({ holder }) =>
      isPod(holder) && holder.finishedAt === undefined ? [holder] : [],
    );
  }

  /** What is no pod and holds an image of a repository. */
  templatesOfRepository(repository: string): HolderView[] {
    return this.#ofRepository(repository).flatMap(({ holder, holding }) => (!isPod(holder) && holding ? [holder] : []));
  }

  /** Whether any pod or workload that is there names an image of a registry. */
  namesHost(host: string): boolean {
    return this.#byHost.has(host);
  }

  /** The pod of this name, with what became of each of its images. */
  pod(namespace: string, name: string): { readonly pod: PodView; readonly images: PodImages } | undefined {
    const known = this.#known.get(holderKey({ source: PODS_SOURCE, namespace, name }));
    return known !== undefined && isPod(known.holder) ? { pod: known.holder, images: known.images } : undefined;
  }

  /** What became of each image that a holder names. */
  imagesOf(holder: HolderView): PodImages | undefined {
    return this.#known.get(holderKey(holder))?.images;
  }

  holderOf(key: string): HolderView | undefined {
    return this.#known.get(key)?.holder;
  }

  holdersOfNamespace(namespace: string): HolderView[] {
    return this.#byNamespace.of(namespace).map((key) => this.#known.get(key)!.holder);
  }

  /** The key of everything that is known, whether it holds something or not. */
  keys(): IterableIterator<string> {
    return this.#known.keys();
  }

  /** The keys of one collection's objects. */
  keysOf(source: string): string[] {
    return [...this.#known.keys()].filter((key) => key.startsWith(`${source} `));
  }

  /** Holds by kind of holder, each image counted. */
  holdsByKind(): ReadonlyMap<string, number> {
    return this.#holdsByKind;
  }

  #ofRepository(repository: string): Known[] {
    return this.#byRepository.of(repository).map((key) => this.#known.get(key)!);
  }

  /** Lets it hold or lets it go, as its time and standing say. `same`: it is the object that held before, so that what it keeps is no change. */
  #settle(key: string, now: number, changed: Set<string>, same = false): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    const { holder } = known;
    const superseded = holder.revision !== undefined && this.#revisions.superseded(key, holder.revision);
    const until = superseded ? -Infinity : holdsUntil(holder, this.#completedHoldMs);
    if (until <= now) return this.#release(key, known, changed);
    if (until !== Infinity) this.#ending.set(key, until);
    if (known.holding) return;
    this.#hold(key, known);
    for (const image of known.distinct) {
      if (same && changed.has(image)) changed.delete(image);
      else changed.add(image);
    }
  }

  #hold(key: string, known: Known): void {
    known.holding = true;
    const { kind, namespace, name, pullSecrets } = known.holder;
    const requestId = isPod(known.holder) ? known.holder.requestId : undefined;
    const holder: Holder = { kind, namespace, name, pullSecrets, requestId };
    const always = alwaysOf(known.images);
    for (const image of known.distinct) {
      const holders = this.#holders.get(image) ?? new Map<string, Holder>();
      this.#holders.set(image, holders.set(key, always.has(image) ? { ...holder, always: true } : holder));
    }
    this.#count(kind, known.distinct.length);
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
    this.#count(known.holder.kind, -known.distinct.length);
  }

  #forget(key: string, changed: Set<string>): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    this.#release(key, known, changed);
    for (const { reference } of known.images.used) {
      this.#byRepository.remove(repositoryName(reference), key);
      this.#byHost.remove(reference.host, key);
    }
    this.#byNamespace.remove(known.holder.namespace, key);
    this.#known.delete(key);
  }

  #count(kind: string, change: number): void {
    this.#holdsByKind.set(kind, (this.#holdsByKind.get(kind) ?? 0) + change);
  }
}

/** The images that a holder pulls at each start. */
function alwaysOf(images: PodImages): Set<string> {
  return new Set(images.used.flatMap(({ image, always }) => (always === true ? [image] : [])));
}

/** Until when it holds its images: for ever while it has something to do, never when it is being deleted. */
export function holdsUntil({ deleting, finishedAt }: HolderView, completedHoldMs: number): number {
  if (deleting) return -Infinity;
  return finishedAt === undefined ? Infinity : finishedAt + completedHoldMs;
}
