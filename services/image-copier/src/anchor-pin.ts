import { anchorTag } from '@kuik/image';
import {
  copyImage,
  type Descriptor,
  holdsWholeImage,
  type Manifest,
  RegistryError,
  type RepositoryClient,
} from '@kuik/registry';
import type { CopyTarget } from './decide.ts';

/** Neither the cache nor upstream has what `spec.pin` names. That says nothing about the image's own tag. */
export class PinMissing extends RegistryError {
  readonly digest: string;

  constructor(digest: string, cause: RegistryError) {
    super('not-found', cause.message, { cause });
    this.name = 'PinMissing';
    this.digest = digest;
  }
}

export interface AnchorPinOptions {
  readonly source: RepositoryClient;
  /** The cache's copy of the repository. */
  readonly to: RepositoryClient;
  /** Which platforms to copy; default: all. */
  readonly wants?: ((child: Descriptor) => boolean) | undefined;
  /** Look at every blob although the anchor is right. */
  readonly thorough: boolean;
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

/**
 * Gives a pinned digest a tag of its own in the cache, before the image's tag may move away from it: from what the cache holds under any tag,
 * else from upstream. Throws RegistryError, PinMissing when nobody has it; what upstream does not have any more is no failure while the cache has it.
 */
export async function anchorPin(
  pin: NonNullable<CopyTarget['pin']>,
  { source, to, wants, thorough, concurrency, signal }: AnchorPinOptions,
): Promise<void> {
  const held = await find(to, pin.digest, signal);
  if (held !== undefined) {
    await to.putManifest(pin.tag, held.bytes, held.mediaType, { signal });
    if (!thorough || (await holdsWholeImage(to, pin.digest, { wants, signal }))) return;
  }
  try {
    const reference = pin.digest;
    await copyImage({ source, reference, target: to, targetTag: pin.tag, wants, thorough: true, concurrency, signal });
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'not-found') throw error;
    if (held === undefined) throw new PinMissing(pin.digest, error);
  }
}

/** Gives a digest that a tag is about to leave a tag of its own; what the cache does not have any more is let go. Throws RegistryError. */
export async function anchorLeft(to: RepositoryClient, digest: string, signal: AbortSignal): Promise<void> {
  const held = await find(to, digest, signal);
  if (held !== undefined) await to.putManifest(anchorTag(digest), held.bytes, held.mediaType, { signal });
}

async function find(to: RepositoryClient, digest: string, signal: AbortSignal): Promise<Manifest | undefined> {
  try {
    return await to.openManifest(digest, { signal });
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return undefined;
    throw error;
  }
}
