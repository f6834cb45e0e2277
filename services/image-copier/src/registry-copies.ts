import type { Payer } from '@kuik/queue';
import {
  copyImage,
  describeImage,
  holdsWholeImage,
  RegistryError,
  type BlobTurns,
  type CacheEndpoint,
  type CopyResult as Copied,
  type DescribeOptions,
  type RegistryAccess,
  type RepositoryClient,
  type UploadSessions,
} from '@kuik/registry';
import { anchorLeft, anchorPin, PinMissing } from './anchor-pin.ts';
import type { CopyParts } from './copy-loop.ts';
import { CacheDamaged, damagedOf } from './damaged-content.ts';
import type { CopyTarget } from './decide.ts';
import type { CopyCredentials, CopyOrigin } from './credentials.ts';
import { describedStill } from './described-before.ts';
import type { CopyFailure } from './judge.ts';
import { headOf, refill } from './refill.ts';
import { renewedOnRefusal } from './renewed-on-refusal.ts';
import { ReferrersCopy, ReferrersLooks } from './referrers.ts';
import { shownToAnyone } from './shown-to-anyone.ts';
import { Sides } from './sides.ts';
import { SparseIndexes } from './sparse-indexes.ts';
import { platformsOf, wantsOf } from './wanted.ts';

export interface CopyRoute {
  readonly registry: RegistryAccess;
  /** An upstream client that reads together with others where its registry counts what is asked. */
  readonly shared: (client: RepositoryClient, payer: () => Promise<Payer>) => RepositoryClient;
  readonly cache: CacheEndpoint;
  readonly credentials: (origin: CopyOrigin) => CopyCredentials;
  /** What all workers know of the cache's blobs, by upstream host. */
  readonly turns: { of(host: string): BlobTurns };
  /** An upstream repository whose blobs are read once for everybody. */
  readonly share: (client: RepositoryClient, reader: { host: string; path: string } & CopyOrigin) => RepositoryClient;
  readonly sessions: UploadSessions;
  /** Blobs of one image at once. */
  readonly concurrency: number;
  /** Whether layers are copied that their registry may not hold, from the URLs that their manifest names. */
  readonly foreignLayers: boolean;
  /** Whether what refers to an image is copied with it. */
  readonly referrers: boolean;
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** Both ends of a copy, and the credentials for upstream. */
interface Ends {
  readonly own: CopyCredentials;
  readonly source: RepositoryClient;
  readonly to: RepositoryClient;
  /** When upstream showed the image to anyone; undefined when it did not. */
  readonly publicAt: () => ReturnType<ReturnType<typeof shownToAnyone>['at']>;
}

/** Who is told of a copy on its way, and who ends it. */
interface Watching {
  readonly onRoot: (digest: string) => void;
  readonly onProgress: Parameters<CopyParts['copy']>[1];
  readonly signal: AbortSignal;
}

/** Upstream to cache by the copy algorithm of the registry package; errors are told apart by the side that failed. */
export function registryCopies({
  registry,
  shared,
  cache,
  credentials,
  turns,
  share,
  sessions,
  concurrency,
  foreignLayers,
  referrers,
  now,
}: CopyRoute): Pick<CopyParts, 'copy' | 'failureOf' | 'held' | 'lost'> {
  const sides = new Sides();
  const about = new ReferrersCopy(now);
  const sparse = new SparseIndexes(now);
  /** What is met in the cache on the way is remembered: whoever needs it next mounts it. */
  const met = ({ reference: { host }, cacheRepository }: CopyTarget): DescribeOptions['onBlob'] => {
    const blobs = turns.of(host);
    return ({ digest, size }) => blobs.landed(digest, cacheRepository, size);
  };
  const credentialsTold = new WeakMap<RegistryError, CredentialsTold>();
  const endsOf = ({ reference: { host, path }, cacheRepository, requestId }: CopyTarget): Ends => {
    const origin = requestId === undefined ? {} : { requestId };
    const own = credentials(origin);
    const client = renewedOnRefusal(own, (given) =>
      registry.upstream(host, path, given, { ...origin, background: true }),
    );
    const upstream = shownToAnyone(client, own, now);
    const payer = async (): Promise<Payer> => {
      // A copy by digest begins with what its registry counts: the broker was not asked yet.
      if (own.tried() === undefined) await own.credentials({ host, repository: path, actions: ['pull'] });
      return { host, account: own.account() };
    };
    return {
      own,
      source: sides.watch(share(shared(upstream.client, payer), { host, path, ...origin }), 'upstream'),
      to: sides.watch(registry.cache(cache, cacheRepository, origin), 'cache'),
      publicAt: () => upstream.at(),
    };
  };
  /** Brings the image under its tag, or finds that the cache has it. */
  const bring = async (
    target: CopyTarget,
    { source, to }: Ends,
    { onRoot, onProgress, signal }: Watching,
  ): Promise<Copied & { known?: ReturnType<typeof describedStill> }> => {
    const wants = wantsOf(target.wanted);
    const { pin, cacheTag, upstreamReference, verify, doubted = [], wanted, described } = target;
    if (pin !== undefined) {
      const thorough = target.thorough || verify !== undefined;
      await sparse.copying(wants, (narrowed, again) =>
        anchorPin(pin, { source, to, wants: narrowed, thorough: thorough || again, concurrency, signal }),
      );
    }
    const copy = (reference: string, thorough: boolean): Promise<Copied> =>
      sparse.copying(wants, (narrowed, again) =>
        copyImage({
          source,
          reference,
          target: to,
          targetTag: cacheTag,
          wants: narrowed,
          ...(foreignLayers ? { foreignLayer: (blob) => registry.foreignLayer(blob) } : {}),
          thorough: thorough || again,
          begun: target.begun || again,
          onLeave: (digest) => anchorLeft(to, digest, signal),
          onRoot,
          turns: turns.of(target.reference.host),
          sessions,
          concurrency,
          signal,
          onProgress: ({ bytesDone, bytesTotal, blobsDone, blobsTotal }) =>
            onProgress({ bytesDone, bytesTotal, step: `${blobsDone}/${blobsTotal} blobs` }),
        }),
      );
    const damaged = await damagedOf(to, doubted, signal);
    const onBlob = met(target);
    const copying =
      verify === undefined
        ? copy(upstreamReference, target.thorough)
        : refill({
            to,
            tag: cacheTag,
            digest: verify,
            upstreamReference,
            look: { wants: sparse.narrowed(wants), foreignLayers },
            onBlob,
            copy,
            signal,
          });
    // Whatever else comes of it, a person has to know.
    const made = await (damaged.length === 0 ? copying : copying.catch(() => undefined));
    if (made === undefined || damaged.length > 0) throw new CacheDamaged(damaged);
    const known = made.skipped ? describedStill(described, made.digest, wanted) : undefined;
    if (known !== undefined) return { ...made, known };
    return made.skipped ? describeSkipped(made, target, to, copy, { foreignLayers, onBlob, signal }) : made;
  };
  return {
    async copy(target, onProgress, signal) {
      const ends = endsOf(target);
      const { own, source, to } = ends;
      const failed = new AbortController();
      const looks = new ReferrersLooks(
        () => about.begin({ source, to, tag: target.reference.tag }),
        AbortSignal.any([signal, failed.signal]),
      );
      try {
        const onRoot = (digest: string): void => void (referrers && looks.begin(digest));
        const { known, ...made } = await bring(target, ends, { onRoot, onProgress, signal });
        // A copy that found its tag right is two requests: what came to refer to it since shows when somebody asks for it.
        const refer = referrers && (!made.skipped || target.thorough || target.takenOver === true || looks.any);
        const found = refer ? await looks.all(made) : undefined;
        const failure = found?.looked.failure;
        if (failure instanceof RegistryError) credentialsTold.set(failure, toldOf(own));
        const publicAt = ends.publicAt();
        const { manifests: _below, ...result } = made;
        return {
          ...result,
          ...(known ?? platformsOf(made.platforms, target.wanted)),
          ...found,
          ...(publicAt === undefined ? {} : { publicAt }),
        };
      } catch (error) {
        failed.abort(error);
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
      const look = { wants: wantsOf(target.wanted), foreignLayers };
      if (!(await holdsWholeImage(to, digest, look))) return undefined;
      const found = await describeImage(to, digest, { ...look, onBlob: met(target) });
      return { ...found, bytesCopied: 0, ...platformsOf(found.platforms, target.wanted) };
    },
    failureOf(error) {
      if (!(error instanceof RegistryError)) return undefined;
      const { code, message, status } = error;
      // Without an answer it is our own breaker's time: no word of upstream's.
      const retryAfterMs = code === 'timeout' && status === undefined ? undefined : error.retryAfterMs;
      const { account: given, ...told } = credentialsTold.get(error) ?? {};
      // What was given may have been refused before, or the answer be one to whoever began the transfer that was joined.
      const { account } = error.askedAs ?? { account: given };
      return {
        code,
        message,
        ...(error instanceof CacheDamaged ? { side: 'cache', damaged: error.digests } : { side: sides.of(error) }),
        ...(error instanceof PinMissing ? { side: 'upstream', pin: error.digest } : {}),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...told,
        ...(account === undefined ? {} : { account }),
      };
    },
  };
}

type CredentialsTold = Pick<CopyFailure, 'account' | 'broker' | 'tried' | 'unread'>;

function toldOf(credentials: CopyCredentials): CredentialsTold {
  const [account, broker, tried] = [credentials.account(), credentials.failure(), credentials.tried()];
  return {
    ...(account === undefined ? {} : { account }),
    ...(broker === undefined ? {} : { broker: { failure: broker.failure, message: broker.message } }),
    ...(tried === undefined ? {} : { tried, unread: credentials.unread() }),
  };
}

/**
 * Copied before (by a worker that died, or for an earlier object), and not described by this object's stanza: what it holds is read from the
 * cache, not from upstream. A platform that is wanted and was not copied then is brought now.
 */
async function describeSkipped(
  skipped: Copied,
  { cacheTag, wanted }: CopyTarget,
  to: RepositoryClient,
  copy: (reference: string, thorough: boolean) => Promise<Copied>,
  look: Omit<DescribeOptions, 'wants'>,
): Promise<Copied> {
  const found = await describeImage(to, cacheTag, { wants: wantsOf(wanted), ...look });
  if (!found.platforms.some(({ state }) => state === 'absent')) return { ...skipped, ...found };
  return copy(found.digest, true);
}
