import { cosignTags, referrersTag, digestOfAnchor } from '@kuik/image';
import { RegistryError, taggedReferrers, type RepositoryClient } from '@kuik/registry';
import type { CacheClaim } from './cache-tags.ts';

/** Subjects looked at for one image; the copier brings no more. */
const SUBJECTS_MAX = 200;

/** The digests that go with an image: those that it names, and no other resource of the same cache repository does. */
export function subjectsOf(image: CacheClaim, others: Iterable<CacheClaim>): string[] {
  const named = new Set<string>();
  for (const other of others) {
    if (other.uid === image.uid || other.repository !== image.repository) continue;
    for (const anchor of other.anchors) named.add(anchor);
  }
  return image.anchors.filter((anchor) => !named.has(anchor)).flatMap((anchor) => digestOfAnchor(anchor) ?? []);
}

/**
 * The tags under which the cache keeps what is about these digests (signatures, SBOMs), and about that in turn: those that are there, deepest first, so
 * that whatever interrupts their deletion leaves a way to the rest. Throws RegistryError when the cache cannot be asked.
 */
export async function referrerTags(
  client: Pick<RepositoryClient, 'headManifest' | 'openManifest'>,
  subjects: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const seen = new Set(subjects);
  const tags: string[] = [];
  for (const subject of seen) {
    const named = [referrersTag(subject), ...(subjects.includes(subject) ? cosignTags(subject) : [])];
    for (const tag of named) if (await has(client, tag, signal)) tags.push(tag);
    if (!tags.includes(referrersTag(subject))) continue;
    const { descriptors } = await taggedReferrers(client, subject, { signal });
    for (const { digest } of descriptors) if (seen.size < SUBJECTS_MAX) seen.add(digest);
  }
  return tags.reverse();
}

async function has(client: Pick<RepositoryClient, 'headManifest'>, tag: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.headManifest(tag, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return false;
    throw error;
  }
}
