import { isDigest, referrersTag } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { readManifest, type Descriptor } from './plan.ts';
import type { Manifest, RepositoryClient } from './port.ts';
import type { RepositoryRequests } from './repository-requests.ts';
import { nextPage } from './tags.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const PAGES_MAX = 10;
/** What registries without the API answer it with. */
const NO_API: readonly number[] = [400, 404, 405, 501];

/** OCI distribution spec, "Listing Referrers"; all pages. Undefined when the registry does not know the request. */
export async function listReferrers(
  requests: RepositoryRequests,
  digest: string,
  signal?: AbortSignal,
): Promise<Descriptor[] | undefined> {
  if (!isDigest(digest)) throw new RegistryError('rejected', `"${digest.slice(0, 160)}" is not a digest`);
  const { host, repository, manifestMaxBytes } = requests.context;
  const call = { operation: 'referrers', need: { actions: ['pull'] }, signal } as const;
  const url = requests.url(`referrers/${digest}`);
  const found: Descriptor[] = [];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await requests.send(call, { method: 'GET', url, headers: { accept: INDEX } });
    const isIndex = answer.header('content-type')?.split(';')[0]?.trim().toLowerCase() === INDEX;
    if (NO_API.includes(answer.status) || (answer.status === 200 && !isIndex)) {
      answer.discard();
      return undefined;
    }
    if (answer.status !== 200)
      throw await requests.failure(`cannot list what refers to ${host}/${repository}@${digest}`, answer);
    const bytes = await answer.read(manifestMaxBytes);
    found.push(...readManifest({ bytes, mediaType: INDEX, digest: 'of referrers' }).children);
    const next = nextPage(answer.header('link'), url);
    if (next === undefined) return found;
    url.search = next.startsWith('?') ? next : `?last=${encodeURIComponent(next)}`;
  }
  return found;
}

export interface Referrers {
  readonly descriptors: readonly Descriptor[];
  readonly from: 'api' | 'tag' | 'none';
  /** The fallback index itself, when it is from one. */
  readonly index?: Manifest;
}

/**
 * What refers to a digest: by the registry's API, else as the fallback tag says, else nothing. `hasTag` may know that there is no such tag.
 * Throws RegistryError.
 */
export async function referrersOf(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest' | 'listReferrers'>,
  digest: string,
  {
    withApi = true,
    hasTag,
    ...options
  }: { withApi?: boolean; hasTag?: (tag: string) => Promise<boolean>; signal?: AbortSignal } = {},
): Promise<Referrers> {
  const listed = withApi ? await client.listReferrers(digest, options) : undefined;
  if (listed !== undefined) return { descriptors: listed, from: 'api' };
  if ((await hasTag?.(referrersTag(digest))) === false) return { descriptors: [], from: 'none' };
  return taggedReferrers(client, digest, options);
}

/**
 * What the index under the fallback tag (`sha256-<hex>`) lists. It is asked for by HEAD first: most images have none, and upstreams count GETs.
 * Throws RegistryError.
 */
export async function taggedReferrers(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest'>,
  digest: string,
  options: { signal?: AbortSignal } = {},
): Promise<Referrers> {
  try {
    const head = await client.headManifest(referrersTag(digest), options);
    const index = await client.openManifest(head.digest, options);
    const content = readManifest(index);
    if (content.kind === 'index') return { descriptors: content.children, from: 'tag', index };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'not-found') throw error;
  }
  return { descriptors: [], from: 'none' };
}

/** An index of referrers in the form that the API and the fallback tag share; of one type when `artifactType` is given. */
export function referrersIndex(descriptors: readonly Descriptor[], artifactType?: string): Buffer {
  const manifests = descriptors.filter((one) => artifactType === undefined || one.artifactType === artifactType);
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
}
