import { RegistryError } from './errors.ts';
import { inParallel } from './in-parallel.ts';
import { lackingOf, walkManifests } from './manifest-tree.ts';
import { blobsToCopy, type Descriptor } from './plan.ts';
import type { RepositoryClient } from './port.ts';

const PARALLEL = 4;

/** What a copy is looked for with. */
export interface LookOptions {
  /** Which platforms have to be there; default: all. */
  wants?: ((child: Descriptor) => boolean) | undefined;
  foreignLayers?: boolean;
  signal?: AbortSignal;
}

/**
 * Whether a registry holds an image with everything that hangs on it: every manifest and blob below `digest` of the platforms that are wanted
 * (default: all), foreign layers left out by default. Manifests
 * are read, blobs are asked for by HEAD: what is there was verified when it was stored. Throws RegistryError when the registry cannot be
 * asked; that something is not there is `false`.
 */
export async function holdsWholeImage(
  client: RepositoryClient,
  digest: string,
  { wants, foreignLayers = false, ...options }: LookOptions = {},
): Promise<boolean> {
  try {
    const root = await client.openManifest(digest, options);
    const tree = await walkManifests(client, root, { wants, ...options });
    if (lackingOf(tree).some(({ digest }) => !tree.left.has(digest))) return false;
    let whole = true;
    await inParallel(blobsToCopy(tree.blobs, foreignLayers), PARALLEL, async (blob) => {
      if (whole && (await client.headBlob(blob.digest, options)) === undefined) whole = false;
    });
    return whole;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return false;
    throw error;
  }
}
