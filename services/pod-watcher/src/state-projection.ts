import type { Bucket } from '@kuik/bus';
import { type CachedImage, type ImageState, project, supersedes } from '@kuik/contracts';
import type { ClusterView } from './cluster-view.ts';
import { sameJson } from './same-json.ts';

/** Attempts of one compare-and-set before somebody else's newer word is left standing until the next change. */
const ATTEMPTS = 5;

/**
 * What nodes read of each image, kept equal to the resources. A change is put by compare-and-set and never over a newer one; the
 * full list puts right whatever is wrong, whichever version it has (a restored etcd turns versions back), and removes entries of
 * images that are gone. Entries that are right already are not written: a write is a hint that every follower reads again. Nor are they read again as long as a resource
 * goes on saying the same: most of its versions do.
 */
export class StateProjection {
  readonly #bucket: Bucket<ImageState>;
  readonly #view: ClusterView;
  /** What an entry was last seen to say, or made to, by key; never its version. */
  readonly #seen = new Map<string, string>();

  constructor(bucket: Bucket<ImageState>, view: ClusterView) {
    this.#bucket = bucket;
    this.#view = view;
  }

  /** Projects one image (canonical text). Throws BusError when NATS is away. */
  async update(image: string): Promise<void> {
    const [first] = this.#view.images.of(image);
    const next = first === undefined ? undefined : project(first);
    if (next === undefined) return;
    const says = saying(next.state);
    if (this.#seen.get(next.key) === says) return;
    this.#seen.delete(next.key);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const entry = await this.#bucket.get(next.key);
      if (!supersedes(next.state, entry?.value)) return;
      const right =
        saysTheSame(next.state, entry?.value) ||
        (await this.#bucket.compareAndSet(next.key, next.state, entry?.revision ?? 0)) !== undefined;
      if (!right) continue;
      this.#seen.set(next.key, says);
      return;
    }
  }

  /** The object is gone: its entry too, unless it speaks of another object of the same image by now. */
  async forget(gone: CachedImage): Promise<void> {
    const last = project(gone);
    if (last === undefined) return;
    this.#seen.delete(last.key);
    const entry = await this.#bucket.get(last.key);
    if (entry?.value.uid === gone.metadata.uid) await this.#bucket.delete(last.key);
  }

  /** Makes the bucket say exactly what the resources say; returns how many entries were wrong. */
  async overwrite(signal: AbortSignal): Promise<number> {
    this.#seen.clear();
    const keys = new Set(await this.#bucket.keys());
    let wrong = 0;
    for (const image of [...this.#view.images.identities()]) {
      signal.throwIfAborted();
      const [first] = this.#view.images.of(image);
      const next = first === undefined ? undefined : project(first);
      if (next === undefined) continue;
      const entry = keys.delete(next.key) ? await this.#bucket.get(next.key) : undefined;
      if (saysTheSame(next.state, entry?.value)) continue;
      await this.#bucket.put(next.key, next.state);
      wrong += 1;
    }
    for (const key of keys) {
      signal.throwIfAborted();
      await this.#bucket.delete(key);
      wrong += 1;
    }
    return wrong;
  }
}

function saying(state: ImageState): string {
  return JSON.stringify({ ...state, resourceVersion: '' });
}

/** Equal but for the version: facts and summaries move that, and nodes do not care. */
function saysTheSame(state: ImageState, stored: ImageState | undefined): boolean {
  return stored !== undefined && sameJson({ ...stored, resourceVersion: '' }, { ...state, resourceVersion: '' });
}
