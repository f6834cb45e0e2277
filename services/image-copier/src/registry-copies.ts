import {
  copyImage,
  describeImage,
  RegistryError,
  type BlobTurns,
  type CacheEndpoint,
  type RegistryAccess,
} from '@kuik/registry';
import type { CopyParts } from './copy-loop.ts';
import type { CopyCredentials } from './credentials.ts';
import { Sides } from './sides.ts';

export interface CopyRoute {
  readonly registry: RegistryAccess;
  readonly cache: CacheEndpoint;
  readonly credentials: () => CopyCredentials;
  /** What all workers know of the cache's blobs, by upstream host. */
  readonly turns: { of(host: string): BlobTurns };
  /** Blobs of one image at once. */
  readonly concurrency: number;
}

/** Upstream to cache by the copy algorithm of the registry package; errors are told apart by the side that failed. */
export function registryCopies({
  registry,
  cache,
  credentials,
  turns,
  concurrency,
}: CopyRoute): Pick<CopyParts, 'copy' | 'failureOf'> {
  const sides = new Sides();
  const brokers = new WeakMap<RegistryError, NonNullable<ReturnType<CopyCredentials['failure']>>>();
  return {
    async copy(target, onProgress, signal) {
      const { host, path } = target.reference;
      const own = credentials();
      const source = sides.watch(registry.upstream(host, path, own), 'upstream');
      const to = sides.watch(registry.cache(cache, target.cacheRepository), 'cache');
      try {
        const result = await copyImage({
          source,
          reference: target.upstreamReference,
          target: to,
          targetTag: target.cacheTag,
          thorough: target.thorough,
          turns: turns.of(host),
          concurrency,
          signal,
          onProgress: ({ bytesDone, bytesTotal, blobsDone, blobsTotal }) =>
            onProgress({ bytesDone, bytesTotal, step: `${blobsDone}/${blobsTotal} blobs` }),
        });
        // Copied before (by a worker that died, or for an earlier object): what it holds is read from the cache, not from upstream.
        const held = result.skipped ? { ...result, ...(await describeImage(to, target.cacheTag, { signal })) } : result;
        return { ...held, platforms: heldPlatforms(held.platforms) };
      } catch (error) {
        const failure = own.failure();
        if (failure !== undefined && error instanceof RegistryError) brokers.set(error, failure);
        throw error;
      }
    },
    failureOf(error) {
      if (!(error instanceof RegistryError)) return undefined;
      const { code, message, retryAfterMs } = error;
      const broker = brokers.get(error);
      return {
        code,
        message,
        side: sides.of(error),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...(broker === undefined ? {} : { broker: { failure: broker.failure, message: broker.message } }),
      };
    },
  };
}

function heldPlatforms(platforms: readonly { readonly platform: string; readonly state: string }[]): string[] {
  return [...new Set(platforms.filter(({ state }) => state === 'held').map(({ platform }) => platform))];
}
