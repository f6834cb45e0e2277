import { RecentUids } from './recent-uids.ts';

/** What every resource of ours has; identity is what `spec` names, never the object's name. */
export interface Identified {
  readonly metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
  };
}

/** How long the answer to a write may be on its way after a watch has shown the object's end. */
const GONE_MS = 60_000;

/**
 * The resources of one kind by object name and by what they stand for (an image's canonical text, a repository's name). Takes
 * in what watches show and what our own writes returned, whichever is newer, so that a decision never rests on less than our own
 * last write.
 */
export class ResourceIndex<T extends Identified> {
  readonly #identityOf: (object: T) => string;
  readonly #byName = new Map<string, T>();
  readonly #byIdentity = new Map<string, Map<string, T>>();
  readonly #gone = new RecentUids(GONE_MS);

  /** `identityOf` never changes for one uid (the field is immutable). */
  constructor(identityOf: (object: T) => string) {
    this.#identityOf = identityOf;
  }

  /** Takes an object in unless a newer version of it is known, or its end; returns what was known before, or false when nothing changed. */
  put(object: T): { readonly before: T | undefined } | false {
    const before = this.#byName.get(object.metadata.name);
    if (before !== undefined && before.metadata.uid === object.metadata.uid) {
      if (compareVersions(object.metadata.resourceVersion, before.metadata.resourceVersion) <= 0) return false;
    } else if (this.#gone.has(object.metadata.uid) || (before !== undefined && isOlder(object, before))) {
      return false;
    }
    this.#set(object);
    return { before };
  }

  /** Forgets an object, unless another one of that name is known by now. */
  remove(object: T): boolean {
    this.#gone.add(object.metadata.uid);
    const known = this.#byName.get(object.metadata.name);
    if (known === undefined || known.metadata.uid !== object.metadata.uid) return false;
    this.#byName.delete(object.metadata.name);
    this.#unlink(known);
    return true;
  }

  /** Replaces everything by a full list, whatever versions it holds (a restored etcd turns them back). */
  replaceAll(objects: Iterable<T>): void {
    this.#byName.clear();
    this.#byIdentity.clear();
    for (const object of objects) this.#set(object);
  }

  named(name: string): T | undefined {
    return this.#byName.get(name);
  }

  /** All objects that stand for `identity`: the one that counts first, its duplicates after it. */
  of(identity: string): T[] {
    return [...(this.#byIdentity.get(identity)?.values() ?? [])].sort(byPrecedence);
  }

  identities(): IterableIterator<string> {
    return this.#byIdentity.keys();
  }

  values(): IterableIterator<T> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }

  #set(object: T): void {
    const before = this.#byName.get(object.metadata.name);
    if (before !== undefined) this.#unlink(before);
    this.#byName.set(object.metadata.name, object);
    const identity = this.#identityOf(object);
    const siblings = this.#byIdentity.get(identity) ?? new Map<string, T>();
    this.#byIdentity.set(identity, siblings.set(object.metadata.name, object));
  }

  #unlink(object: T): void {
    const identity = this.#identityOf(object);
    const siblings = this.#byIdentity.get(identity);
    siblings?.delete(object.metadata.name);
    if (siblings?.size === 0) this.#byIdentity.delete(identity);
  }
}

/** The object that counts: one that stays before one that is being deleted, then the oldest, then by name. */
export function byPrecedence(a: Identified, b: Identified): number {
  const going = Number(a.metadata.deletionTimestamp !== undefined) - Number(b.metadata.deletionTimestamp !== undefined);
  if (going !== 0) return going;
  const born = (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');
  return born === 0 ? (a.metadata.name < b.metadata.name ? -1 : 1) : born;
}

/** Negative when `a` is older. resourceVersions of one resource type compare as integers (since Kubernetes 1.35). */
export function compareVersions(a: string, b: string): number {
  return a.length === b.length ? (a < b ? -1 : a > b ? 1 : 0) : a.length - b.length;
}

/** Of two objects of one name: made anew later has the higher version. */
function isOlder(object: Identified, known: Identified): boolean {
  return compareVersions(object.metadata.resourceVersion, known.metadata.resourceVersion) < 0;
}
