import { cosignTags, digestOfAnchor, referrersTag, subjectOfTag } from '@kuik/image';
import { listedManifests, RegistryError, taggedReferrers, type RepositoryClient } from '@kuik/registry';
import type { CacheClaim } from './cache-tags.ts';

const PAGE = 1_000;
const REMEMBERED_MAX = 2_000;

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

/** Who names which digest in the cache: an image by its resource, and by the index behind that what this lists. */
export class Families {
  /** By repository and index. What an index lists never changes. */
  readonly #listed = new Map<string, readonly string[]>();

  /** The digests that an image names, and those that they list. Throws RegistryError when the cache cannot be asked. */
  async of(
    client: Pick<RepositoryClient, 'openManifest'>,
    { repository, anchors }: CacheClaim,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const family = new Set<string>();
    for (const anchor of anchors) {
      // Of longer digests the anchor has a part only; it is a tag, too.
      const digest = digestOfAnchor(anchor);
      if (digest !== undefined) family.add(digest);
      const key = `${repository}@${anchor}`;
      const listed = this.#listed.get(key) ?? (await listedManifests(client, digest ?? anchor, { signal }));
      if (listed === undefined) continue;
      if (this.#listed.size >= REMEMBERED_MAX) this.#listed.clear();
      this.#listed.set(key, listed);
      for (const one of listed) family.add(one);
    }
    return family;
  }

  /** All that other resources of the same cache repository name in this way. Throws likewise. */
  async ofOthers(
    client: Pick<RepositoryClient, 'openManifest'>,
    image: CacheClaim,
    others: Iterable<CacheClaim>,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const named = new Set<string>();
    for (const other of others) {
      if (other.uid === image.uid || other.repository !== image.repository) continue;
      for (const digest of await this.of(client, other, signal)) named.add(digest);
    }
    return named;
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
    const { descriptors } = await taggedReferrers(client, subject, { signal });
    for (const { digest } of descriptors) if (!spared.has(digest) && about.has(referrersTag(digest))) seen.add(digest);
  }
  return tags.reverse();
}
