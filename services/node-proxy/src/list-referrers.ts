import { referrersTag, repositoryName } from '@kuik/image';
import { RegistryError, referrersIndex, referrersOf, taggedReferrers, type Referrers } from '@kuik/registry';
import { CacheDown, CacheMiss, type CacheAccess } from './cache-access.ts';
import { failureOf, isNoSuchImage, UpstreamFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import type { UpstreamAccess } from './upstream-access.ts';

export interface ReferrersParts {
  readonly cache: CacheAccess;
  readonly upstream: UpstreamAccess;
  /** How long upstream may think before what the cache holds is looked at. */
  readonly patienceMs: number;
}

export interface ReferrersRequest {
  readonly repositories: readonly Repository[];
  readonly digest: string;
  readonly query: string;
  readonly requestId: string;
}

export interface ReferrersAnswer {
  /** An OCI index, as the distribution spec's "Listing Referrers" wants it. */
  readonly body: Buffer;
  readonly from: 'cache' | 'upstream';
  readonly stale: boolean;
  /** Of one type only, because the client asked for that. */
  readonly filtered: boolean;
}

/**
 * What refers to a digest. Upstream's list, because signatures come after their image; when it has none, or does not answer in time, what was
 * copied with the image; an empty one when both have none. Throws PullFailure when upstream cannot be asked and the cache has nothing: not to
 * know is not to have none.
 */
export async function listReferrersOf(parts: ReferrersParts, request: ReferrersRequest): Promise<ReferrersAnswer> {
  const artifactType = new URLSearchParams(request.query).get('artifactType') ?? undefined;
  const answer = (found: Referrers, from: 'cache' | 'upstream', stale: boolean): ReferrersAnswer => ({
    body: referrersIndex(found.descriptors, artifactType),
    from,
    stale,
    filtered: artifactType !== undefined,
  });
  const failures: unknown[] = [];
  for (const repository of request.repositories) {
    const asked = await askUpstream(parts, repository, request);
    if ('failure' in asked) failures.push(asked.failure);
    else if (asked.found.descriptors.length > 0) {
      noticeUnkept(parts.cache, repository, request.digest);
      return answer(asked.found, 'upstream', false);
    }
    const kept = await keptReferrers(parts.cache, repository, request);
    if (kept !== undefined) return answer(kept, 'cache', 'failure' in asked);
  }
  if (failures.some((failure) => !(failure instanceof UpstreamFailure) || !isNoSuchImage(failure)))
    throw failureOf(failures, 'tags');
  return answer({ descriptors: [], from: 'none' }, 'upstream', false);
}

/**
 * Something about an image was had from upstream: unless the cache has a list of its own, the image is reported as one that lacks something, and
 * whoever looks brings what refers to it.
 */
export function noticeUnkept(cache: CacheAccess, repository: Repository, subject: string): void {
  const tag = referrersTag(subject);
  cache
    .ask(repository, `${repositoryName(repository)}@${subject}`, (client) => client.headManifest(tag))
    .catch(() => undefined);
}

async function askUpstream(
  { upstream, patienceMs }: ReferrersParts,
  repository: Repository,
  { digest, requestId }: ReferrersRequest,
): Promise<{ found: Referrers } | { failure: unknown }> {
  const signal = AbortSignal.timeout(patienceMs);
  try {
    return {
      found: await upstream.ask(repository, requestId, (client) => referrersOf(client, digest, { signal })),
    };
  } catch (error) {
    if (error instanceof UpstreamFailure) return { failure: error };
    if (!signal.aborted || !(error instanceof RegistryError)) throw error;
    const message = `${repository.host} did not say within ${patienceMs} ms what refers to ${digest}`;
    return { failure: new UpstreamFailure('timeout', message, { credentialUsed: false, cause: error }) };
  }
}

async function keptReferrers(
  cache: CacheAccess,
  repository: Repository,
  { digest, requestId }: ReferrersRequest,
): Promise<Referrers | undefined> {
  try {
    const kept = await cache.ask(repository, 'what refers to it', (client) => taggedReferrers(client, digest), {
      requestId,
    });
    return kept.from === 'none' ? undefined : kept;
  } catch (error) {
    if (error instanceof CacheMiss || error instanceof CacheDown) return undefined;
    throw error;
  }
}
