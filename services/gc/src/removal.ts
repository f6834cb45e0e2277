import { EVENT_REASONS, stanzaOf, type CachedImage } from '@kuik/contracts';
import { cacheTag, parseReference } from '@kuik/image';
import { CACHED_IMAGES, isKubeError, orAbsent, type EventRecorder, type KubeClient } from '@kuik/kube';
import { RegistryError, type RepositoryClient } from '@kuik/registry';
import type { Logger } from '@kuik/runtime';
import {
  claimOf,
  digestsOf,
  namedAnchors,
  ownedByOthers,
  planTags,
  readClaims,
  type CacheClaim,
} from './cache-tags.ts';
import { withKind } from './condemnation.ts';
import { Families, isOfOneManifest, referrerTags, tagsAbout, type TagsAbout } from './referrer-tags.ts';
import { writeRemoval } from './removal-stanza.ts';
import { finalizersOf, verdict, type Verdict } from './verdict.ts';

export interface RemovalOptions {
  readonly kube: Pick<KubeClient, 'get' | 'pages' | 'apply' | 'delete' | 'mergePatch'>;
  readonly cache: (
    repository: string,
  ) => Pick<RepositoryClient, 'deleteTag' | 'headManifest' | 'listTags' | 'openManifest' | 'putManifest'>;
  readonly announce: (image: CachedImage) => Promise<void>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
  readonly assertLeader: () => void;
  readonly now: () => number;
  readonly graceMs: number;
  /** How long a removal waits, from its beginning on, for a manifest that tells whether another image needs what is about this one. */
  readonly unreadMs: number;
}

export type RemovalOutcome =
  | { readonly outcome: 'removed'; readonly bytesFreed: number }
  /** The resource is forgotten, the bytes stay. */
  | { readonly outcome: 'released' }
  /** Another image may need what is about it: the cache cannot give the manifest that would tell. */
  | { readonly outcome: 'waits'; readonly unread: RegistryError }
  /** It is not what it was when it was judged: the next round judges it anew. */
  | { readonly outcome: 'changed' };

interface About extends TagsAbout {
  /** Subjects that one image names or lists. */
  readonly own: readonly string[];
}

/** What goes with an image, as far as it is known before its tags go. */
interface Going {
  readonly claim: CacheClaim;
  readonly tags: readonly string[];
  /** Anchors that others left for what its tag names, if they are there. */
  readonly left: readonly string[];
  readonly about: About;
  readonly unread: RegistryError | undefined;
}

const DISOWN_ATTEMPTS = 10;

/**
 * Makes images go, in steps that can be repeated from the beginning after a crash anywhere between them. `removedAt` is written
 * before the tag goes: from then on nobody counts on the bytes (nodes ask upstream, a new use is copied again), so that no crash
 * leaves a resource that promises what the cache does not have. The resource goes last.
 */
export class Removal {
  readonly #options: RemovalOptions;
  readonly #families = new Families();
  /** By repository, of one round. */
  readonly #tagsAbout = new Map<string, TagsAbout>();

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /** A repository's tags are listed once in a round: what is copied about an image of it meanwhile is not for those that go. */
  beginRound(): void {
    this.#tagsAbout.clear();
  }

  /**
   * An image that was judged `remove` or `finish`, and that nobody holds. `others` are the claims of every other resource, read after
   * holders were asked. Throws RegistryError when the cache does not delete, KubeError or BusError.
   */
  async remove(judged: CachedImage, others: Iterable<CacheClaim>, signal: AbortSignal): Promise<RemovalOutcome> {
    const { kube, now, assertLeader } = this.#options;
    let image = await this.#fresh(judged, signal, 'remove', 'finish');
    const stanza = image === undefined ? undefined : stanzaOf(image, 'removal');
    if (image === undefined || stanza === undefined || stanza.epoch !== stanzaOf(judged, 'removal')?.epoch) {
      return { outcome: 'changed' };
    }
    let written = stanza;
    if (stanza.removedAt === undefined) {
      assertLeader();
      written = { ...stanza, removedAt: new Date(now()).toISOString() };
      image = await writeRemoval(kube, image, written, signal);
      await this.#options.announce(image);
    }
    const going = await this.#going(image, others, signal);
    const { unread } = going ?? {};
    if (unread !== undefined && now() < Date.parse(written.removedAt ?? '') + this.#options.unreadMs)
      return { outcome: 'waits', unread };
    const bytesFreed = await this.#deleteTags(image, going, signal);
    try {
      if (written.bytesFreed === undefined) {
        assertLeader();
        image = await writeRemoval(kube, image, { ...written, bytesFreed }, signal);
      }
      assertLeader();
      const { name, uid, resourceVersion } = image.metadata;
      await kube.delete(CACHED_IMAGES, { name }, { uid, resourceVersion, signal });
    } catch (error) {
      if (isKubeError(error, 'conflict')) await this.#disown(image, signal);
      throw error;
    }
    this.#tell(image, `removed from the cache (${written.reason})`);
    await this.#dropFinalizers(image, signal);
    return { outcome: 'removed', bytesFreed: written.bytesFreed ?? bytesFreed };
  }

  /**
   * An object that a person deleted. Held: the resource is forgotten and the bytes stay (pod-watcher makes it anew, the copier finds
   * them). Not held: the tag goes first. It waits for nothing: what is about it, and may be needed, stays.
   */
  async release(
    judged: CachedImage,
    held: boolean,
    others: Iterable<CacheClaim>,
    signal: AbortSignal,
  ): Promise<RemovalOutcome> {
    const image = await this.#fresh(judged, signal, 'release');
    if (image === undefined) return { outcome: 'changed' };
    const bytesFreed = held ? 0 : await this.#deleteTags(image, await this.#going(image, others, signal), signal);
    if (held) {
      const message = `${image.spec.sourceImage} is in use: its bytes stay in the cache, the resource is made anew`;
      this.#options.events.event(withKind(image), 'Normal', EVENT_REASONS.kept, message);
    } else this.#tell(image, 'removed from the cache (Deleted)');
    await this.#dropFinalizers(image, signal);
    return held ? { outcome: 'released' } : { outcome: 'removed', bytesFreed };
  }

  /**
   * Whether the cache holds the copy of an image that was copied after its removal had begun. A removal that was killed in the middle may
   * have taken the tag after that copy had found it: then the copy counts no more, and is made again. Throws RegistryError when the cache
   * cannot be asked, else as `remove`.
   */
  async returned(image: CachedImage, signal: AbortSignal): Promise<boolean> {
    if (claimOf(image) === undefined || (await this.hasTag(image, signal))) return true;
    const { sourceImage } = image.spec;
    this.#options.log.warn('copy lost its tag to a removal, and is made again', { image: sourceImage });
    await this.#disown(image, signal);
    return false;
  }

  /** Whether the cache has the copy that is recorded, under the image's tag. Throws RegistryError when the cache cannot be asked. */
  async hasTag(image: CachedImage, signal: AbortSignal): Promise<boolean> {
    const claim = claimOf(image);
    if (claim === undefined) return false;
    const tag = cacheTag(parseReference(image.spec.sourceImage));
    try {
      const { digest } = await this.#options.cache(claim.repository).headManifest(tag, { signal });
      return digest === stanzaOf(image, 'cache')?.digest;
    } catch (error) {
      if (!isMissing(error)) throw error;
      return false;
    }
  }

  /** A copy that was recorded since `removedAt` may have found the bytes just before their tag went: it counts no more, so that it is made again. */
  async #disown({ metadata }: CachedImage, signal: AbortSignal): Promise<void> {
    const { kube, now, announce, assertLeader } = this.#options;
    const { name, uid } = metadata;
    for (let attempt = 1; ; attempt += 1) {
      // Not holding the lease is told as a conflict, too: not one to try again.
      assertLeader();
      try {
        const image = await kube.get<CachedImage>(CACHED_IMAGES, { name }, { signal });
        const [cache, removal] = [stanzaOf(image, 'cache'), stanzaOf(image, 'removal')];
        const copiedAt = Date.parse(cache?.copiedAt ?? '');
        if (image.metadata.uid !== uid || !(copiedAt > Date.parse(removal?.removedAt ?? ''))) return;
        const removedAt = new Date(Math.max(now(), copiedAt)).toISOString();
        const { condemnedAt, reason, epoch } = removal!;
        await announce(await writeRemoval(kube, image, { condemnedAt, reason, epoch, removedAt }, signal));
        return;
      } catch (error) {
        if (isKubeError(error, 'not-found')) return;
        if (!isKubeError(error, 'conflict') || attempt === DISOWN_ATTEMPTS) throw error;
      }
    }
  }

  /** The object as it is now, when it is still the same one and still judged so. */
  async #fresh(judged: CachedImage, signal: AbortSignal, ...wanted: Verdict['do'][]): Promise<CachedImage | undefined> {
    const { kube, now, graceMs } = this.#options;
    const { name, uid } = judged.metadata;
    const image = await orAbsent(kube.get<CachedImage>(CACHED_IMAGES, { name }, { signal }));
    return image?.metadata.uid === uid && wanted.includes(verdict(image, now(), graceMs).do) ? image : undefined;
  }

  /** Undefined for an image that has nothing in the cache. Takes long when there are many: hardly anything is left to read once the claims are read again. */
  async #going(image: CachedImage, others: Iterable<CacheClaim>, signal: AbortSignal): Promise<Going | undefined> {
    const claim = claimOf(image);
    if (claim === undefined) return undefined;
    const known = [...others];
    const { repository, remove } = planTags(claim, known);
    const left = planTags({ ...claim, tags: namedAnchors(claim) }, known).remove;
    // Not every registry gives a manifest whose last tag is gone.
    const about = await this.#about(claim, signal);
    if (about.own.length === 0) return { claim, tags: remove, left, about, unread: undefined };
    const { unread } = await this.#families.ofOthers(this.#options.cache(repository), claim, known, about, signal);
    return { claim, tags: remove, left, about, unread };
  }

  /** Returns the bytes that no tag of this image keeps any more: 0 when one of its tags stays. */
  async #deleteTags(image: CachedImage, going: Going | undefined, signal: AbortSignal): Promise<number> {
    const { kube, cache, assertLeader, log } = this.#options;
    if (going === undefined) return 0;
    const { claim, tags, left, about } = going;
    const { repository } = claim;
    for (const tag of tags) {
      assertLeader();
      await cache(repository).deleteTag(tag, { signal });
    }
    const found: string[] = [];
    for (const tag of left) {
      assertLeader();
      if (await cache(repository).deleteTag(tag, { signal })) found.push(tag);
    }
    // A resource that came meanwhile may have been copied by finding the tag that was just going.
    const claims = [...(await readClaims(kube, signal, image)).values()];
    const { keep } = planTags(claim, claims);
    for (const tag of [...keep, ...ownedByOthers(claim, namedAnchors(claim), claims)])
      await this.#putBack(image, repository, tag, signal);
    const removed = await this.#deleteReferrers(claim, about, claims, signal);
    log.info('tags removed from the cache', {
      image: image.spec.sourceImage,
      repository,
      removed: [...tags, ...found, ...removed],
      kept: keep,
    });
    return keep.length === 0 ? (stanzaOf(image, 'cache')?.bytes ?? 0) : 0;
  }

  /** The tags that are about something in the image's repository, and which digests of those the image names or lists. */
  async #about(claim: CacheClaim, signal: AbortSignal): Promise<About> {
    const client = this.#options.cache(claim.repository);
    const about = this.#tagsAbout.get(claim.repository) ?? (await tagsAbout(client, signal));
    this.#tagsAbout.set(claim.repository, about);
    if (about.subjects.size === 0) return { ...about, own: [] };
    const { digests } = await this.#families.of(client, claim, about.subjects, signal);
    return { ...about, own: [...digests] };
  }

  /** What is about the image, and about what it lists, goes with the last resource that needs that digest. Whatever else needs such a tag keeps it; while nobody knows whether another one does, all of it stays. */
  async #deleteReferrers(
    claim: CacheClaim,
    about: About,
    others: readonly CacheClaim[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { own } = about;
    if (own.length === 0) return [];
    const { cache, assertLeader, log } = this.#options;
    const client = cache(claim.repository);
    const { digests: spared, unread } = await this.#families.ofOthers(client, claim, others, about, signal);
    if (unread !== undefined) {
      const { repository } = claim;
      log.warn('what is about an image stays in the cache: another one may need it', {
        repository,
        own,
        error: unread,
      });
      return [];
    }
    const found = await referrerTags(client, own, { about, spared }, signal);
    const plan = planTags({ ...claim, tags: found }, others);
    for (const tag of plan.remove) {
      assertLeader();
      await client.deleteTag(tag, { signal });
    }
    return plan.remove;
  }

  /** Sees to it that a tag that another resource needs is there: its manifest is, as long as blobs are not swept. */
  async #putBack(image: CachedImage, repository: string, tag: string, signal: AbortSignal): Promise<void> {
    const { cache, assertLeader, log } = this.#options;
    const digest = digestsOf(image).get(tag);
    if (digest === undefined) return;
    const client = cache(repository);
    try {
      await client.headManifest(tag, { signal });
    } catch (error) {
      if (isOfOneManifest(error)) return log.warn('tag cannot be read in the cache', { repository, tag, error });
      if (!isMissing(error)) throw error;
      try {
        const { bytes, mediaType } = await client.openManifest(digest, { signal });
        assertLeader();
        await client.putManifest(tag, bytes, mediaType, { signal });
        log.warn('tag put back for a resource that came while it was removed', { repository, tag, digest });
      } catch (lost) {
        if (!isMissing(lost) && !isOfOneManifest(lost)) throw lost;
        log.warn('tag cannot be put back: the cache has lost its manifest', { repository, tag, digest, error: lost });
      }
    }
  }

  #tell(image: CachedImage, what: string): void {
    this.#options.events.event(
      withKind(image),
      'Normal',
      EVENT_REASONS.removed,
      `${image.spec.sourceImage} was ${what}`,
    );
  }

  async #dropFinalizers(image: CachedImage, signal: AbortSignal): Promise<void> {
    const { kube, assertLeader } = this.#options;
    const ours = finalizersOf(image);
    if (ours.length === 0) return;
    const finalizers = (image.metadata.finalizers ?? []).filter((finalizer) => !ours.includes(finalizer));
    assertLeader();
    try {
      // The uid makes sure that an object made anew under this name keeps its own.
      const { name, uid } = image.metadata;
      await kube.mergePatch(CACHED_IMAGES, { name }, { metadata: { uid, finalizers } }, { signal });
    } catch (error) {
      if (!isKubeError(error, 'not-found', 'conflict')) throw error;
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'not-found';
}
