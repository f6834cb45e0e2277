import { repositoryName } from '@kuik/image';
import type { Manifest } from '@kuik/registry';
import { BriefMemory } from '@kuik/runtime';
import { CacheMiss, type CacheAccess, type CacheAsk } from './cache-access.ts';
import type { Repository } from './pull-path.ts';
import { WeightedLru } from './weighted-lru.ts';

/** Older than this a manifest is checked behind the answer; older than `CHECK_BEFORE_MS`, before it. So a deletion shows within 30 s. */
export const CHECK_BEHIND_MS = 10_000;
export const CHECK_BEFORE_MS = 25_000;
/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 512;

export interface CachedManifest {
  readonly manifest: Manifest;
  /** False when it had to be fetched. */
  readonly fromMemory: boolean;
}

/**
 * The cache registry's manifests by digest, answered from memory. Their bytes cannot change, but they can be deleted: one that was not
 * checked for a while is asked for by HEAD. While the cache cannot be asked, memory answers.
 */
export class CachedManifests {
  readonly #cache: CacheAccess;
  readonly #memory: WeightedLru<{ manifest: Manifest; checkedAtMs: number }>;
  readonly #fetching: BriefMemory<Manifest>;
  readonly #checking: BriefMemory<boolean>;
  readonly #now: () => number;

  constructor(options: { cache: CacheAccess; maxBytes: number; now: () => number }) {
    const { cache, maxBytes, now } = options;
    this.#cache = cache;
    this.#now = now;
    this.#memory = new WeightedLru(maxBytes);
    this.#fetching = new BriefMemory({ forMs: 0, entries: 1, now });
    this.#checking = new BriefMemory({ forMs: 0, entries: 1, now });
  }

  get bytes(): number {
    return this.#memory.weight;
  }

  /** What is in memory of a repository (`host/path`), the most recently used first. */
  of(repository: string): Manifest[] {
    return [...this.#memory.entries()]
      .filter(([key]) => key.startsWith(`${repository}@`))
      .map(([, { manifest }]) => manifest)
      .reverse();
  }

  /** The manifest; throws CacheMiss or CacheDown. */
  async get(repository: Repository, digest: string, ask: CacheAsk = {}): Promise<CachedManifest> {
    const key = `${repositoryName(repository)}@${digest}`;
    const kept = this.#memory.get(key);
    if (kept !== undefined) {
      const age = this.#now() - kept.checkedAtMs;
      if (age <= CHECK_BEHIND_MS) return { manifest: kept.manifest, fromMemory: true };
      const check = this.#checking.get(key, () => this.#stillThere(key, repository, digest, ask));
      if (age <= CHECK_BEFORE_MS || (await check)) return { manifest: kept.manifest, fromMemory: true };
      throw new CacheMiss(key);
    }
    const askedAtMs = this.#now();
    const manifest = await this.#fetching.get(key, () =>
      this.#cache.ask(repository, key, (client) => client.openManifest(digest), ask),
    );
    this.#memory.set(key, { manifest, checkedAtMs: askedAtMs }, manifest.bytes.length + ENTRY_BYTES);
    return { manifest, fromMemory: false };
  }

  /** Never throws: when the cache cannot be asked, what is in memory stays. */
  async #stillThere(key: string, repository: Repository, digest: string, ask: CacheAsk): Promise<boolean> {
    const askedAtMs = this.#now();
    try {
      await this.#cache.ask(repository, key, (client) => client.headManifest(digest), ask);
    } catch (error) {
      if (error instanceof CacheMiss) {
        this.#memory.delete(key);
        return false;
      }
      return true;
    }
    const kept = this.#memory.get(key);
    if (kept !== undefined) kept.checkedAtMs = askedAtMs;
    return true;
  }
}
