import { RegistryError } from './errors.ts';
import { isBlobDescriptor, readManifest } from './plan.ts';
import type { RepositoryClient } from './port.ts';

const INDEX = /\.(?:index|manifest\.list)\./;
const MAX = 1_000;
/** What is no index, or must not be read, lists nothing. */
const NO_INDEX: readonly string[] = ['rejected', 'too-large'];

/**
 * Digests of the manifests that an index lists, and those that indexes below it list, whether they are there or not: none for an image. Undefined
 * when the registry does not have it. Throws RegistryError when it cannot be asked, or has other bytes.
 */
export async function listedManifests(
  client: Pick<RepositoryClient, 'openManifest'>,
  reference: string,
  options: { signal?: AbortSignal } = {},
): Promise<readonly string[] | undefined> {
  const children = await childrenOf(client, reference, options);
  if (children === undefined) return undefined;
  const found = new Map(children.map((child) => [child.digest, child]));
  for (const { digest, mediaType } of found.values()) {
    if (!INDEX.test(mediaType) || found.size > MAX) continue;
    for (const child of (await childrenOf(client, digest, options)) ?? []) found.set(child.digest, child);
  }
  return [...found.keys()];
}

async function childrenOf(
  client: Pick<RepositoryClient, 'openManifest'>,
  reference: string,
  options: { signal?: AbortSignal },
) {
  try {
    const { children } = readManifest(await client.openManifest(reference, options));
    return children.filter((child) => !isBlobDescriptor(child));
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (error.code === 'not-found') return undefined;
    if (NO_INDEX.includes(error.code)) return [];
    throw error;
  }
}
