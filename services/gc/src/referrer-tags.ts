import { cosignTags, digestOfAnchor, referrersTag, subjectOfTag } from '@kuik/image';
import { listedManifests, RegistryError, taggedReferrers, type RepositoryClient } from '@kuik/registry';
import type { CacheClaim } from './cache-tags.ts';

const PAGE = 1_000;
/** Digests of all lists together, a list itself counted as one: some 10 MB. */
const REMEMBERED_MAX = 100_000;
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

/** What a cache repository holds about digests (signatures, SBOMs): the tags, and which digests these are about. */
export interface TagsAbout {
  readonly tags: ReadonlySet<string>;
  readonly subjects: ReadonlySet<string>;
}

/** The tags of a cache repository that are about some digest, whichever. Throws RegistryError when the cache cannot be asked. */
export async function tagsAbout(client: Pick<RepositoryClient, 'listTags'>, signal: AbortSignal): Promise<TagsAbout> {
  const about = { tags: new Set<string>(), subjects: new Set<string>() };
  try {
    for (let last: string | undefined; ;) {
      const page = await client.listTags({ n: PAGE, ...(last === undefined ? {} : { last }), signal });
      for (const tag of page.tags) {
        const subject = subjectOfTag(tag);
        if (subject === undefined) continue;
        about.tags.add(tag);
        about.subjects.add(subject);
      }
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
  /** By repository and index, the oldest first. What an index lists never changes. */
  readonly #listed = new Map<string, readonly string[]>();
  readonly #max: number;
  #size = 0;

  /** `max`: how many digests are remembered. */
  constructor(max = REMEMBERED_MAX) {
    this.#max = max;
  }

  /** Those of `subjects` that an image names, and those that these list. Throws RegistryError when the cache cannot be asked. */
  of(
    client: Pick<RepositoryClient, 'openManifest'>,
    image: CacheClaim,
    subjects: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Family> {
    return this.#named(client, [image], subjects, signal);
  }

  /** All that other resources of the same cache repository name in this way. Throws likewise. */
  ofOthers(
    client: Pick<RepositoryClient, 'openManifest'>,
    image: CacheClaim,
    others: readonly CacheClaim[],
    subjects: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Family> {
    const beside = others.filter(({ uid, repository }) => uid !== image.uid && repository === image.repository);
    return this.#named(client, beside, subjects, signal);
  }

  async #named(
    client: Pick<RepositoryClient, 'openManifest'>,
    images: readonly CacheClaim[],
    subjects: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Family> {
    const digests = new Set<string>();
    let unread: RegistryError | undefined;
    for (const { repository, anchors } of images) {
      for (const anchor of anchors) {
        // Of longer digests the anchor has a part only; it is a tag, too.
        const digest = digestOfAnchor(anchor);
        if (digest !== undefined && subjects.has(digest)) digests.add(digest);
        const key = `${repository}@${anchor}`;
        const listed =
          this.#listed.get(key) ??
          (await this.#read(client, digest ?? anchor, key, signal).catch((error: unknown) => {
            if (!isOfOneManifest(error)) throw error;
            unread ??= error;
            return undefined;
          }));
        for (const one of listed ?? []) if (subjects.has(one)) digests.add(one);
      }
    }
    return { digests, unread };
  }

  /** Remembered unless an index below it is not there: that one may come yet. */
  async #read(
    client: Pick<RepositoryClient, 'openManifest'>,
    reference: string,
    key: string,
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    const found = await listedManifests(client, reference, { signal });
    if (found?.complete === true) this.#remember(key, found.digests);
    return found?.digests;
  }

  #remember(key: string, listed: readonly string[]): void {
    if (this.#listed.has(key)) return;
    this.#listed.set(key, listed);
    this.#size += 1 + listed.length;
    for (const [oldest, { length }] of this.#listed) {
      if (this.#size <= this.#max) return;
      this.#listed.delete(oldest);
      this.#size -= 1 + length;
    }
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
