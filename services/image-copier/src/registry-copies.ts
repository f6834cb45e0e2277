import {
  copyImage,
  describeImage,
  RegistryError,
  type CacheEndpoint,
  type CopyResult,
  type RegistryAccess,
} from '@kuik/registry';
import { anchorPin } from './anchor-pin.ts';
import type { CopyParts } from './copy-loop.ts';
import type { CopyCredentials } from './credentials.ts';
import { headOf, refill } from './refill.ts';
import { Sides } from './sides.ts';

export interface CopyRoute {
  readonly registry: RegistryAccess;
  readonly cache: CacheEndpoint;
  readonly credentials: () => CopyCredentials;
  /** Blobs of one image at once. */
  readonly concurrency: number;
}

/** Upstream to cache by the copy algorithm of the registry package; errors are told apart by the side that failed. */
export function registryCopies({
  registry,
  cache,
  credentials,
  concurrency,
}: CopyRoute): Pick<CopyParts, 'copy' | 'failureOf' | 'lost'> {
  const sides = new Sides();
  const brokers = new WeakMap<RegistryError, NonNullable<ReturnType<CopyCredentials['failure']>>>();
  return {
    async copy(target, onProgress, signal) {
      const { host, path } = target.reference;
      const own = credentials();
      const source = sides.watch(registry.upstream(host, path, own), 'upstream');
      const to = sides.watch(registry.cache(cache, target.cacheRepository), 'cache');
      try {
        if (target.pin !== undefined)
          await anchorPin(target.pin, {
            source,
            to,
            thorough: target.thorough || target.verify !== undefined,
            concurrency,
            signal,
          });
        const copy = (reference: string, thorough: boolean): Promise<CopyResult> =>
          copyImage({
            source,
            reference,
            target: to,
            targetTag: target.cacheTag,
            thorough,
            concurrency,
            signal,
            onProgress: ({ bytesDone, bytesTotal, blobsDone, blobsTotal }) =>
              onProgress({ bytesDone, bytesTotal, step: `${blobsDone}/${blobsTotal} blobs` }),
          });
        const { upstreamReference, verify } = target;
        const result =
          verify === undefined
            ? await copy(upstreamReference, target.thorough)
            : await refill({ to, tag: target.cacheTag, digest: verify, upstreamReference, copy, signal });
        // Copied before (by a worker that died, or for an earlier object): what it holds is read from the cache, not from upstream.
        const held = result.skipped ? { ...result, ...(await describeImage(to, target.cacheTag, { signal })) } : result;
        return { ...held, platforms: heldPlatforms(held.platforms) };
      } catch (error) {
        const failure = own.failure();
        if (failure !== undefined && error instanceof RegistryError) brokers.set(error, failure);
        throw error;
      }
    },
    async lost(target) {
      if (target.verify === undefined) return false;
      const to = registry.cache(cache, target.cacheRepository);
      return (await headOf(to, target.verify)) === undefined;
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
