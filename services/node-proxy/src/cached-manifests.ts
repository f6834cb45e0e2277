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

  /** Whether it is in memory, and so needs no cache that answers. */
  holds(repository: Repository, digest: string): boolean {
    return this.#memory.get(keyOf(repository, digest)) !== undefined;
  }

  /** What is in memory of a repository (`host/path`), the most recently used first. */
  of(repository: string): Manifest[] {
    return [...this.#memory.entries()]
      .filter(([key]) => key.startsWith(`${repository}@`))
      .map(([, { manifest }]) => manifest)
      .reverse();
  }

  /** The manifest, if it is in memory and need not be checked first. */
  atOnce(repository: Repository, digest: string, ask: CacheAsk = {}): Manifest | undefined {
    const kept = this.#kept(repository, digest, ask);
    return kept !== undefined && kept.age <= CHECK_BEFORE_MS ? kept.manifest : undefined;
  }

  /** The manifest; throws CacheMiss or CacheDown. */
  async get(repository: Repository, digest: string, ask: CacheAsk = {}): Promise<CachedManifest> {
    const key = keyOf(repository, digest);
    const kept = this.#kept(repository, digest, ask);
    if (kept !== undefined) {
      if (kept.age <= CHECK_BEFORE_MS || (await kept.check)) return { manifest: kept.manifest, fromMemory: true };
      throw new CacheMiss(key);
    }
    const askedAtMs = this.#now();
    const manifest = await this.#fetching.get(key, () =>
      this.#cache.ask(repository, key, (client) => client.openManifest(digest), ask),
    );
    this.#memory.set(key, { manifest, checkedAtMs: askedAtMs }, manifest.bytes.length + ENTRY_BYTES);
    return { manifest, fromMemory: false };
  }

  /** What is in memory, and the check under way when it was not checked for a while. */
  #kept(repository: Repository, digest: string, ask: CacheAsk) {
    const key = keyOf(repository, digest);
    const kept = this.#memory.get(key);
    if (kept === undefined) return undefined;
    const age = this.#now() - kept.checkedAtMs;
    const check =
      age <= CHECK_BEHIND_MS
        ? undefined
        : this.#checking.get(key, () => this.#stillThere(key, repository, digest, ask));
    return { manifest: kept.manifest, age, check };
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

function keyOf(repository: Repository, digest: string): string {
  return `${repositoryName(repository)}@${digest}`;
}
