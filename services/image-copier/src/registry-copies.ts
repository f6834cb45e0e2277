import {
  copyImage,
  describeImage,
  holdsWholeImage,
  RegistryError,
  type BlobTurns,
  type CacheEndpoint,
  type CopyResult as Copied,
  type RegistryAccess,
  type RepositoryClient,
} from '@kuik/registry';
import { anchorLeft, anchorPin } from './anchor-pin.ts';
import type { CopyParts, CopyResult } from './copy-loop.ts';
import type { CopyCredentials, CopyOrigin } from './credentials.ts';
import type { CopyFailure } from './judge.ts';
import { headOf, refill } from './refill.ts';
import { Sides } from './sides.ts';

export interface CopyRoute {
  readonly registry: RegistryAccess;
  /** An upstream client that reads together with others where its registry counts what is asked. */
  readonly shared: (client: RepositoryClient) => RepositoryClient;
  readonly cache: CacheEndpoint;
  readonly credentials: (origin: CopyOrigin) => CopyCredentials;
  /** What all workers know of the cache's blobs, by upstream host. */
  readonly turns: { of(host: string): BlobTurns };
  /** Blobs of one image at once. */
  readonly concurrency: number;
}

/** Upstream to cache by the copy algorithm of the registry package; errors are told apart by the side that failed. */
export function registryCopies({
  registry,
  shared,
  cache,
  credentials,
  turns,
  concurrency,
}: CopyRoute): Pick<CopyParts, 'copy' | 'failureOf' | 'held' | 'lost'> {
  const sides = new Sides();
  const credentialsTold = new WeakMap<RegistryError, Pick<CopyFailure, 'broker' | 'tried'>>();
  return {
    async copy(target, onProgress, signal) {
      const { host, path } = target.reference;
      const { requestId } = target;
      const origin = requestId === undefined ? {} : { requestId };
      const own = credentials(origin);
      const source = sides.watch(shared(registry.upstream(host, path, own, origin)), 'upstream');
      const to = sides.watch(registry.cache(cache, target.cacheRepository, origin), 'cache');
      try {
        if (target.pin !== undefined)
          await anchorPin(target.pin, {
            source,
            to,
            thorough: target.thorough || target.verify !== undefined,
            concurrency,
            signal,
          });
        const copy = (reference: string, thorough: boolean): Promise<Copied> =>
          copyImage({
            source,
            reference,
            target: to,
            targetTag: target.cacheTag,
            thorough,
            begun: target.begun,
            onLeave: (digest) => anchorLeft(to, digest, signal),
            turns: turns.of(host),
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
        return { ...held, ...platformsOf(held.platforms) };
      } catch (error) {
        if (error instanceof RegistryError) credentialsTold.set(error, toldOf(own));
        throw error;
      }
    },
    async lost(target) {
      if (target.verify === undefined) return false;
      const to = registry.cache(cache, target.cacheRepository);
      return (await headOf(to, target.verify)) === undefined;
    },
    async held(target) {
      const to = registry.cache(cache, target.cacheRepository);
      const digest = await headOf(to, target.cacheTag);
      // An anchor's word is checked: what it names must be what was asked for.
      if (digest === undefined || (target.reference.digest ?? digest) !== digest) return undefined;
      if (!(await holdsWholeImage(to, digest))) return undefined;
      const found = await describeImage(to, digest);
      return { ...found, bytesCopied: 0, ...platformsOf(found.platforms) };
    },
    failureOf(error) {
      if (!(error instanceof RegistryError)) return undefined;
      const { code, message, retryAfterMs } = error;
      return {
        code,
        message,
        side: sides.of(error),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...credentialsTold.get(error),
      };
    },
  };
}

function toldOf(credentials: CopyCredentials): Pick<CopyFailure, 'broker' | 'tried'> {
  const [broker, tried] = [credentials.failure(), credentials.tried()];
  return {
    ...(broker === undefined ? {} : { broker: { failure: broker.failure, message: broker.message } }),
    ...(tried === undefined ? {} : { tried }),
  };
}

function platformsOf(
  platforms: readonly { readonly platform: string; readonly state: string }[],
): Pick<CopyResult, 'platforms' | 'platformsOnDemand'> {
  const inState = (wanted: string): string[] => [
    ...new Set(platforms.filter(({ state }) => state === wanted).map(({ platform }) => platform)),
  ];
  return { platforms: inState('held'), platformsOnDemand: inState('left') };
}
