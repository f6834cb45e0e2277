import { cosignTags, digestOfAnchor, referrersTag, subjectOfTag } from '@kuik/image';
import { listedManifests, RegistryError, taggedReferrers, type RepositoryClient } from '@kuik/registry';
import type { CacheClaim } from './cache-tags.ts';

const PAGE = 1_000;
const REMEMBERED_MAX = 2_000;
/** What the cache says when it cannot give one manifest (a damaged file is a 500): no other need be like that. */
const OF_ONE: readonly string[] = [
  'server-error',
  'digest-mismatch',
  'truncated',
  'invalid-response',
  'rejected',
  'too-large',
];

/** Whether it is one manifest that the cache cannot give, and not the cache that cannot be asked. */
export function isOfOneManifest(error: unknown): error is RegistryError {
  return error instanceof RegistryError && OF_ONE.includes(error.code);
}

/**
 * The tags of a cache repository that are about some digest (signatures, SBOMs), whichever. Throws RegistryError when the cache cannot be asked.
 */
export async function tagsAbout(
  client: Pick<RepositoryClient, 'listTags'>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const about = new Set<string>();
  try {
    for (let last: string | undefined; ;) {
      const page = await client.listTags({ n: PAGE, ...(last === undefined ? {} : { last }), signal });
      for (const tag of page.tags) if (subjectOfTag(tag) !== undefined) about.add(tag);
      if (page.next === undefined || page.next === last) return about;
      last = page.next;
    }
  } catch (error) {
    // Without tags some registries do not know the repository.
    if (!(error instanceof RegistryError) || error.code !== 'not-found') throw error;
    return about;
  }
}

export interface Family {
  readonly digests: ReadonlySet<string>;
  /** Why it may be larger: a manifest that the cache cannot give. */
  readonly unread?: RegistryError | undefined;
}

/** Who names which digest in the cache: an image by its resource, and by the index behind that what this lists. */
export class Families {
  /** By repository and index. What an index lists never changes. */
  readonly #listed = new Map<string, readonly string[]>();

  /** The digests that an image names, and those that they list. Throws RegistryError when the cache cannot be asked. */
  async of(
    client: Pick<RepositoryClient, 'openManifest'>,
    { repository, anchors }: CacheClaim,
    signal: AbortSignal,
  ): Promise<Family> {
    const digests = new Set<string>();
    let unread: RegistryError | undefined;
    for (const anchor of anchors) {
      // Of longer digests the anchor has a part only; it is a tag, too.
      const digest = digestOfAnchor(anchor);
      if (digest !== undefined) digests.add(digest);
      const key = `${repository}@${anchor}`;
      const listed =
        this.#listed.get(key) ??
        (await listedManifests(client, digest ?? anchor, { signal }).catch((error: unknown) => {
          if (!isOfOneManifest(error)) throw error;
          unread = error;
          return undefined;
        }));
      if (listed === undefined) continue;
      if (this.#listed.size >= REMEMBERED_MAX) this.#listed.clear();
      this.#listed.set(key, listed);
      for (const one of listed) digests.add(one);
    }
    return { digests, unread };
  }

  /** All that other resources of the same cache repository name in this way. Throws likewise. */
  async ofOthers(
    client: Pick<RepositoryClient, 'openManifest'>,
    image: CacheClaim,
    others: Iterable<CacheClaim>,
    signal: AbortSignal,
  ): Promise<Family> {
    const digests = new Set<string>();
    let unread: RegistryError | undefined;
    for (const other of others) {
      if (other.uid === image.uid || other.repository !== image.repository) continue;
      const family = await this.of(client, other, signal);
      for (const digest of family.digests) digests.add(digest);
      unread ??= family.unread;
    }
    return { digests, unread };
  }
}

/**
 * The tags under which the cache keeps what is about these digests, and about that in turn, but nothing about `spared` ones: of those in `about`,
 * deepest first, so that whatever interrupts their deletion leaves a way to the rest. Throws RegistryError when the cache cannot be asked.
 */
export async function referrerTags(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest'>,
  subjects: readonly string[],
  { about, spared }: { readonly about: ReadonlySet<string>; readonly spared: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<string[]> {
  const own = new Set(subjects.filter((digest) => !spared.has(digest)));
  const seen = new Set(own);
  const tags: string[] = [];
  for (const subject of seen) {
    const list = referrersTag(subject);
    tags.push(...[list, ...(own.has(subject) ? cosignTags(subject) : [])].filter((tag) => about.has(tag)));
    if (!about.has(list)) continue;
    for (const digest of await listedReferrers(client, subject, signal))
      if (!spared.has(digest) && about.has(referrersTag(digest))) seen.add(digest);
  }
  return tags.reverse();
}

/** None of a list that the cache cannot give: its tag goes all the same. */
async function listedReferrers(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest'>,
  subject: string,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const { descriptors } = await taggedReferrers(client, subject, { signal });
    return descriptors.map(({ digest }) => digest);
  } catch (error) {
    if (!isOfOneManifest(error)) throw error;
    return [];
  }
}
