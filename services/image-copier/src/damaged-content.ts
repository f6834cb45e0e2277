import { RegistryError, type RepositoryClient } from '@kuik/registry';

/** The cache registry holds other bytes than these digests say. It never overwrites what it has by name: a person has to take them away. */
export class CacheDamaged extends RegistryError {
  readonly digests: readonly string[];

  constructor(digests: readonly string[]) {
    super('digest-mismatch', `its storage holds wrong bytes of ${digests.join(', ')}`);
    this.name = 'CacheDamaged';
    this.digests = digests;
  }
}

/**
 * Which of these manifests and blobs a repository of the cache holds with wrong bytes: each is read whole, and hashed. What it does not hold is not
 * damaged. Throws RegistryError when the cache cannot be asked.
 */
export async function damagedOf(
  cache: RepositoryClient,
  digests: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const damaged: string[] = [];
  // One after the other: nobody waits for it, and each may be large.
  for (const digest of digests) if (await isDamaged(cache, digest, signal)) damaged.push(digest);
  return damaged;
}

async function isDamaged(cache: RepositoryClient, digest: string, signal: AbortSignal): Promise<boolean> {
  const readers = [
    async () => (await cache.openBlob(digest, { signal })).deliver(() => undefined, signal),
    async () => void (await cache.openManifest(digest, { signal })),
  ];
  for (const read of readers) {
    try {
      await read();
      return false;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      if (error.code === 'digest-mismatch') return true;
      if (error.code !== 'not-found') throw error;
    }
  }
  return false;
}
