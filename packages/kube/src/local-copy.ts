import { keyOf, nameOnly } from './object-name.ts';
import type { KubeObject, ObjectName } from './port.ts';

export interface Change<P> {
  name: ObjectName;
  old: P | undefined;
  now: P | undefined;
}

interface Entry<P> {
  name: ObjectName;
  uid: string;
  resourceVersion: string;
  value: P;
}

/** What is known of one collection, and what each word of the server changes in it. */
export class LocalCopy<T extends KubeObject, P> {
  readonly #project: (object: T) => P;
  readonly #entries = new Map<string, Entry<P>>();

  constructor(project: (object: T) => P) {
    this.#project = project;
  }

  /**
   * Takes an object as it is now. The same version again changes nothing; any other version does, also a lower one (a restored
   * etcd counts anew); another uid is a different object of the same name: the old one goes first.
   */
  put(object: T): Change<P>[] {
    const { metadata } = object;
    const key = keyOf(metadata);
    const entry = this.#entries.get(key);
    if (entry?.uid === metadata.uid && entry.resourceVersion === metadata.resourceVersion) return [];
    const name = entry?.name ?? nameOnly(metadata);
    const value = this.#project(object);
    this.#entries.set(key, { name, uid: metadata.uid, resourceVersion: metadata.resourceVersion, value });
    if (entry === undefined) return [{ name, old: undefined, now: value }];
    if (entry.uid === metadata.uid) return [{ name, old: entry.value, now: value }];
    return [
      { name, old: entry.value, now: undefined },
      { name, old: undefined, now: value },
    ];
  }

  /** Takes an object as gone; the end of an older object of the same name changes nothing. */
  remove(object: T): Change<P>[] {
    const key = keyOf(object.metadata);
    const entry = this.#entries.get(key);
    if (entry?.uid !== object.metadata.uid) return [];
    this.#entries.delete(key);
    return [{ name: entry.name, old: entry.value, now: undefined }];
  }

  /** Removes whatever a complete list did not hold. */
  keepOnly(listed: ReadonlySet<string>): Change<P>[] {
    const changes: Change<P>[] = [];
    for (const [key, entry] of this.#entries) {
      if (listed.has(key)) continue;
      this.#entries.delete(key);
      changes.push({ name: entry.name, old: entry.value, now: undefined });
    }
    return changes;
  }

  get(name: ObjectName): P | undefined {
    return this.#entries.get(keyOf(name))?.value;
  }

  *values(): Generator<P> {
    for (const entry of this.#entries.values()) yield entry.value;
  }

  size(): number {
    return this.#entries.size;
  }
}
