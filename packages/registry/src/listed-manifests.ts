import { RegistryError } from './errors.ts';
import { isBlobDescriptor, readManifest, type ManifestContent } from './plan.ts';
import type { RepositoryClient } from './port.ts';

const INDEX = /\.(?:index|manifest\.list)\./;
const MAX = 1_000;
/** What is no index, or must not be read, lists nothing; so said by its bytes, not by an answer of the registry. */
const NO_INDEX: readonly string[] = ['rejected', 'too-large'];

export interface ListedManifests {
  /** Whether they are there or not. */
  readonly digests: readonly string[];
  /** Whether every index below it was there to be read: what it lists is the same for ever then. */
  readonly complete: boolean;
  /** Digest of what the manifest itself is about, when it says so. */
  readonly subject?: string;
}

/** Whether a media type is that of an index, or of Docker's manifest list. */
export function isIndexType(mediaType: string): boolean {
  return INDEX.test(mediaType);
}

/**
 * Digests of the manifests that an index lists, and those that indexes below it list: none for an image; and what it is about. Undefined when the
 * registry does not have it. Throws RegistryError when it cannot be asked, or has other bytes.
 */
export async function listedManifests(
  client: Pick<RepositoryClient, 'openManifest'>,
  reference: string,
  options: { signal?: AbortSignal } = {},
): Promise<ListedManifests | undefined> {
  const top = await contentOf(client, reference, options);
  if (top === undefined) return undefined;
  let complete = true;
  const found = new Map(top.children.map((child) => [child.digest, child]));
  for (const { digest, mediaType } of found.values()) {
    if (!isIndexType(mediaType) || found.size > MAX) continue;
    const below = await contentOf(client, digest, options);
    if (below === undefined) complete = false;
    for (const child of below?.children ?? []) found.set(child.digest, child);
  }
  return {
    digests: [...found.keys()],
    complete,
    ...(top.subject === undefined ? {} : { subject: top.subject }),
  };
}

async function contentOf(
  client: Pick<RepositoryClient, 'openManifest'>,
  reference: string,
  options: { signal?: AbortSignal },
): Promise<Pick<ManifestContent, 'children' | 'subject'> | undefined> {
  try {
    const content = readManifest(await client.openManifest(reference, options));
    return { ...content, children: content.children.filter((child) => !isBlobDescriptor(child)) };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (error.code === 'not-found') return undefined;
    if (NO_INDEX.includes(error.code) && error.status === undefined) return { children: [] };
    throw error;
  }
}
