import { KubeError } from '../kube-error.ts';
import type { KubeObject } from '../port.ts';

export interface Recorded {
  version: number;
  collection: string;
  object: KubeObject;
  /** Before this change; undefined when it was created. */
  old: KubeObject | undefined;
  gone: boolean;
}

/** What happened, in order, and who wants to hear of it. */
export class History {
  #version: number;
  #forgotten = 0;
  readonly #records: Recorded[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(firstVersion = 1) {
    this.#version = firstVersion;
  }

  get version(): number {
    return this.#version;
  }

  next(): number {
    return ++this.#version;
  }

  add(record: Recorded): void {
    this.#records.push(record);
    this.wake();
  }

  /** Records of a collection after a version. Throws KubeError 'gone' when they are forgotten. */
  after(version: number, collection: string): Recorded[] {
    if (version < this.#forgotten) {
      throw new KubeError('gone', `too old resource version: ${version} (${this.#forgotten}); list again`, {
        status: 410,
      });
    }
    const from = this.#records.findLastIndex((record) => record.version <= version) + 1;
    return this.#records.slice(from).filter((record) => record.collection === collection);
  }

  /** As etcd's compaction does. */
  forget(): void {
    this.#forgotten = this.next();
    this.#records.length = 0;
    this.wake();
  }

  wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  onNews(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
