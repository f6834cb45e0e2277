import { cosignTags, digestOfAnchor, referrersTag, subjectOfTag } from '@kuik/image';
import {
  listedManifests,
  RegistryError,
  taggedReferrers,
  type ListedManifests,
  type RepositoryClient,
} from '@kuik/registry';
import { beside, type CacheClaim } from './cache-tags.ts';

const PAGE = 1_000;
/** Digests of all lists together, a list itself counted as one: some 10 MB. */
const REMEMBERED_MAX = 100_000;
/** From a manifest to what it is about, and on: more than anybody signs signatures. */
const STEPS_MAX = 10;
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
  /** Why it may be larger: a manifest that the cache cannot give, or lacks. */
  readonly unread?: RegistryError | undefined;
}

/** Who names which digest in the cache: an image by its resource, and by the index behind that what this lists. */
export class Families {
  /** By repository and reference, the oldest first. What a manifest says never changes. */
  readonly #known = new Map<string, ListedManifests>();
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

  /**
   * All that other resources of the same cache repository name in this way, and what among `own` is about that: another image's signature. `unread` when
   * there may be more of `own` among it. Throws likewise.
   */
  async ofOthers(
    client: Pick<RepositoryClient, 'openManifest'>,
    image: CacheClaim,
    others: readonly CacheClaim[],
    { subjects, own }: { readonly subjects: ReadonlySet<string>; readonly own: readonly string[] },
    signal: AbortSignal,
  ): Promise<Family> {
    const { digests: named, unread } = await this.#named(client, beside(image, others), subjects, signal);
    const digests = new Set(named);
    let doubt: RegistryError | undefined;
    for (const digest of own) {
      if (named.has(digest)) continue;
      try {
        // Nothing is about nothing, whatever it says: it need not be readable.
        if (named.size > 0 && (await this.#isAbout(client, image.repository, digest, named, signal)))
          digests.add(digest);
        else doubt ??= unread;
      } catch (error) {
        if (!isOfOneManifest(error)) throw error;
        doubt ??= error;
      }
    }
    return { digests, unread: doubt };
  }

  async #named(
    client: Pick<RepositoryClient, 'openManifest'>,
    images: readonly CacheClaim[],
    subjects: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Family> {
    const digests = new Set<string>();
    let unread: RegistryError | undefined;
    for (const { repository, anchors, indexes, held, leaving } of images) {
      // Of longer digests the anchor has a part only; it is a tag, too.
      for (const digest of anchors.map(digestOfAnchor))
        if (digest !== undefined && subjects.has(digest)) digests.add(digest);
      for (const anchor of indexes) {
        try {
          const listed = await this.#read(client, repository, digestOfAnchor(anchor) ?? anchor, signal);
          for (const one of listed?.digests ?? []) if (subjects.has(one)) digests.add(one);
          if (listed?.complete !== true && held.includes(anchor)) unread ??= missing(repository, anchor);
        } catch (error) {
          if (!isOfOneManifest(error)) throw error;
          if (!leaving) unread ??= error;
        }
      }
    }
    return { digests, unread };
  }

  /** Whether a manifest is about one of `digests`, or about what is about it, as it says itself. One that is not there is about nothing. */
  async #isAbout(
    client: Pick<RepositoryClient, 'openManifest'>,
    repository: string,
    digest: string,
    digests: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    let at: string | undefined = digest;
    for (let steps = 0; at !== undefined && steps < STEPS_MAX; steps += 1) {
      at = (await this.#read(client, repository, at, signal))?.subject;
      if (at !== undefined && digests.has(at)) return true;
    }
    return false;
  }

  /** Remembered unless an index below it is not there: that one may come yet. */
  async #read(
    client: Pick<RepositoryClient, 'openManifest'>,
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<ListedManifests | undefined> {
    const key = `${repository}@${reference}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = await listedManifests(client, reference, { signal });
    if (found?.complete === true) this.#remember(key, found);
    return found;
  }

  #remember(key: string, found: ListedManifests): void {
    this.#known.set(key, found);
    this.#size += 1 + found.digests.length;
    for (const [oldest, { digests }] of this.#known) {
      if (this.#size <= this.#max) return;
      this.#known.delete(oldest);
      this.#size -= 1 + digests.length;
    }
  }
}

function missing(repository: string, anchor: string): RegistryError {
  return new RegistryError('not-found', `${repository}:${anchor}, or an index below it, is missing in the cache`);
}

/**
 * The tags under which the cache keeps what is about these digests, and about that in turn, but nothing about `spared` ones: of those in `about`,
 * deepest first, so that whatever interrupts their deletion leaves a way to the rest. Throws RegistryError when the cache cannot be asked.
 */
export async function referrerTags(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest'>,
  subjects: readonly string[],
  { about, spared }: { readonly about: TagsAbout; readonly spared: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<string[]> {
  const seen = new Set(subjects.filter((digest) => !spared.has(digest)));
  const tags: string[] = [];
  for (const subject of seen) {
    const list = referrersTag(subject);
    tags.push(...[list, ...cosignTags(subject)].filter((tag) => about.tags.has(tag)));
    if (!about.tags.has(list)) continue;
    for (const digest of await listedReferrers(client, subject, signal))
      if (!spared.has(digest) && about.subjects.has(digest)) seen.add(digest);
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
