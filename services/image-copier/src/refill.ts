import {
  describeImage,
  holdsWholeImage,
  RegistryError,
  type CopyResult,
  type DescribeOptions,
  type LookOptions,
  type RepositoryClient,
} from '@kuik/registry';

export interface Refill {
  /** The cache's copy of the repository. */
  readonly to: RepositoryClient;
  readonly tag: string;
  /** What the resource says that the cache holds under the tag. */
  readonly digest: string;
  /** What upstream is asked for when it does not have the digest any more. */
  readonly upstreamReference: string;
  /** What has to be there; default: everything but foreign layers. */
  readonly look?: Omit<LookOptions, 'signal'>;
  /** Told of each blob of a copy that lacks nothing. */
  readonly onBlob?: DescribeOptions['onBlob'];
  /** Copies a reference from upstream, going through every blob when `thorough`. */
  readonly copy: (reference: string, thorough: boolean) => Promise<CopyResult>;
  readonly signal: AbortSignal;
}

/**
 * Looks whether the cache holds an image whole, and brings back what it lacks: the digest that it held, so that a tag stays what it was; when
 * upstream has forgotten that digest, what the tag names there now. A cache that lacks nothing costs upstream no request here; what refers
 * to the image is for the caller to ask about: that may be what a node missed. Throws RegistryError.
 */
export async function refill({
  to,
  tag,
  digest,
  upstreamReference,
  look = {},
  onBlob,
  copy,
  signal,
}: Refill): Promise<CopyResult> {
  if ((await headOf(to, tag, signal)) === digest && (await holdsWholeImage(to, digest, { ...look, signal }))) {
    return { ...(await describeImage(to, digest, { ...look, onBlob, signal })), skipped: false, bytesCopied: 0 };
  }
  try {
    return await copy(digest, true);
  } catch (error) {
    const forgotten = error instanceof RegistryError && error.code === 'not-found';
    if (!forgotten || upstreamReference === digest) throw error;
    return copy(upstreamReference, true);
  }
}

/** The digest of a tag or digest that a registry has; undefined when it does not have it. Throws RegistryError. */
export async function headOf(
  client: RepositoryClient,
  reference: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await client.headManifest(reference, signal === undefined ? {} : { signal })).digest;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return undefined;
    throw error;
  }
}
