import {
  copyImage,
  describeImage,
  RegistryError,
  type CacheEndpoint,
  type CredentialSource,
  type RegistryAccess,
} from '@kuik/registry';
import type { CopyParts } from './copy-loop.ts';
import { Sides } from './sides.ts';

export interface CopyRoute {
  readonly registry: RegistryAccess;
  readonly cache: CacheEndpoint;
  readonly credentials: CredentialSource;
  /** Blobs of one image at once. */
  readonly concurrency: number;
}

/** Upstream to cache by the copy algorithm of the registry package; errors are told apart by the side that failed. */
export function registryCopies({
  registry,
  cache,
  credentials,
  concurrency,
}: CopyRoute): Pick<CopyParts, 'copy' | 'failureOf'> {
  const sides = new Sides();
  return {
    async copy(target, onProgress, signal) {
      const { host, path } = target.reference;
      const source = sides.watch(registry.upstream(host, path, credentials), 'upstream');
      const to = sides.watch(registry.cache(cache, target.cacheRepository), 'cache');
      const result = await copyImage({
        source,
        reference: target.upstreamReference,
        target: to,
        targetTag: target.cacheTag,
        concurrency,
        signal,
        onProgress: ({ bytesDone, bytesTotal, blobsDone, blobsTotal }) =>
          onProgress({ bytesDone, bytesTotal, step: `${blobsDone}/${blobsTotal} blobs` }),
      });
      // Somebody else copied it: what it holds is read from the cache, not from upstream.
      const held = result.skipped ? { ...result, ...(await describeImage(to, target.cacheTag, { signal })) } : result;
      return {
        ...held,
        platforms: [...new Set(held.platforms.filter(({ state }) => state === 'held').map(({ platform }) => platform))],
      };
    },
    failureOf(error) {
      if (!(error instanceof RegistryError)) return undefined;
      const { code, message, retryAfterMs } = error;
      return { code, message, side: sides.of(error), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    },
  };
}
