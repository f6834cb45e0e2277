import { stanzaOf, type CachedImage, REPOSITORY_LABEL } from '@kuik/contracts';
import {
  anchorTag,
  cacheTag,
  isDigest,
  parseReference,
  repositoryLabel,
  toCacheRepository,
  tryParseReference,
} from '@kuik/image';
import { CACHED_IMAGES, type KubeClient } from '@kuik/kube';
import { isIndexType } from '@kuik/registry';
import { isLeaving } from './verdict.ts';

/** What one resource says about the cache: its repository there, the tags that it needs, the digests that it names. */
export interface CacheClaim {
  readonly uid: string;
  readonly repository: string;
  /** Tags under which its own bytes are kept: the reference's tag, or the anchors of its digest, its pin, and what its tag named before. */
  readonly tags: readonly string[];
  /** Anchors of every digest that it names: by reference, by pin, by what the cache holds for it. */
  readonly anchors: readonly string[];
  /** Of these, those that may be an index: all but what its record calls something else. */
  readonly indexes: readonly string[];
  /** Of those in turn, what the cache has by its record, and what comes back when it is missing; none once its removal has begun. */
  readonly held: readonly string[];
  /** Its removal has begun: nobody counts on what it has. */
  readonly leaving: boolean;
}

/** The tags that go with an image, and those that stay because another resource needs them. */
export interface TagPlan {
  readonly repository: string;
  readonly remove: readonly string[];
  readonly keep: readonly string[];
}

/** What an image claims in the cache; undefined when it can not have anything there (no reference, not encodable). */
export function claimOf(image: CachedImage): CacheClaim | undefined {
  const reference = tryParseReference(image.spec.sourceImage);
  const repository = reference === undefined ? undefined : toCacheRepository(reference);
  if (reference === undefined || repository === undefined) return undefined;
  const { pin } = image.spec;
  const pinned = pin !== undefined && isDigest(pin) ? [anchorTag(pin)] : [];
  const { digest: kept, mediaType, pinned: copiedPin, history = [] } = stanzaOf(image, 'cache') ?? {};
  const left = history.flatMap(({ digest }) => (isDigest(digest) ? [anchorTag(digest)] : []));
  const anchors = [...new Set([...anchorsOf(reference.digest, kept), ...pinned, ...left])];
  const plain = mediaType === undefined || isIndexType(mediaType) ? [] : anchorsOf(kept);
  const indexes = anchors.filter((anchor) => !plain.includes(anchor));
  // Nobody looks whether the cache still has what a tag named before, unless it is pinned.
  const recorded = new Set([...anchorsOf(kept, copiedPin), ...left.filter((anchor) => pinned.includes(anchor))]);
  const leaving = isLeaving(image);
  return {
    uid: image.metadata.uid,
    repository,
    tags: [...new Set([cacheTag(reference), ...pinned, ...left])],
    anchors,
    indexes,
    held: leaving ? [] : indexes.filter((anchor) => recorded.has(anchor)),
    leaving,
  };
}

function anchorsOf(...digests: readonly (string | undefined)[]): string[] {
  return digests.flatMap((digest) => (digest !== undefined && isDigest(digest) ? [anchorTag(digest)] : []));
}

/** Those of `others` that share an image's cache repository. */
export function beside({ uid, repository }: CacheClaim, others: Iterable<CacheClaim>): CacheClaim[] {
  return [...others].filter((other) => other.uid !== uid && other.repository === repository);
}

/**
 * Which tags of an image may be deleted: none that another resource of the same cache repository needs or whose digest it names. Tags
 * only, never digests: deleting a manifest by digest takes every tag on it along.
 */
export function planTags(image: CacheClaim, others: Iterable<CacheClaim>): TagPlan {
  const needed = new Set(beside(image, others).flatMap(({ tags, anchors }) => [...tags, ...anchors]));
  return {
    repository: image.repository,
    remove: image.tags.filter((tag) => !needed.has(tag)),
    keep: image.tags.filter((tag) => needed.has(tag)),
  };
}

/**
 * Anchors that are not an image's own, but of what its tag names: a resource that named that digest left one for it, which goes with the last
 * resource that names the digest.
 */
export function namedAnchors({ tags, anchors }: CacheClaim): string[] {
  return anchors.filter((anchor) => !tags.includes(anchor));
}

/** Those of `tags` that another resource of the same cache repository keeps its bytes under. */
export function ownedByOthers(image: CacheClaim, tags: readonly string[], others: readonly CacheClaim[]): string[] {
  const owned = new Set(beside(image, others).flatMap((other) => other.tags));
  return tags.filter((tag) => owned.has(tag));
}

/**
 * The digest behind each tag of an image, for those that are known: an anchor's is the one it is named after, another tag's the one that
 * was copied.
 */
export function digestsOf(image: CachedImage): ReadonlyMap<string, string> {
  const { pin } = image.spec;
  const { digest, ...reference } = parseReference(image.spec.sourceImage);
  const { digest: copied, history = [] } = stanzaOf(image, 'cache') ?? {};
  const digests = new Map<string, string>();
  for (const named of [digest, pin, copied, ...history.map((left) => left.digest)])
    if (named !== undefined && isDigest(named)) digests.set(anchorTag(named), named);
  if (digest === undefined && copied !== undefined) digests.set(cacheTag(reference), copied);
  return digests;
}

/**
 * What the resources claim in the cache, by uid, read from the API server itself: all of them, or those of one image's repository. One that is
 * being deleted claims nothing, its own removal looks after its tags; unless somebody uses its image, whose bytes stay.
 */
export async function readClaims(
  kube: Pick<KubeClient, 'pages'>,
  signal: AbortSignal,
  repositoryOf?: CachedImage,
): Promise<Map<string, CacheClaim>> {
  const labelSelector =
    repositoryOf === undefined
      ? undefined
      : `${REPOSITORY_LABEL}=${repositoryLabel(parseReference(repositoryOf.spec.sourceImage))}`;
  const claims = new Map<string, CacheClaim>();
  const pages = kube.pages<CachedImage>(CACHED_IMAGES, {
    signal,
    ...(labelSelector === undefined ? {} : { labelSelector }),
  });
  for await (const { items } of pages) {
    for (const image of items) {
      const used = (stanzaOf(image, 'usedBy')?.count ?? 0) > 0;
      const claim = image.metadata.deletionTimestamp === undefined || used ? claimOf(image) : undefined;
      if (claim !== undefined) claims.set(claim.uid, claim);
    }
  }
  return claims;
}
