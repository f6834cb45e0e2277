import { isDigest, parseDigest } from '@kuik/image';
import { ALONE, type BlobTurns } from './blob-turns.ts';
import { copyBlob } from './copy-blob.ts';
import { RegistryError } from './errors.ts';
import { inParallel } from './in-parallel.ts';
import { lackingOf, walkManifests, type ImagePlatform, type ManifestTree } from './manifest-tree.ts';
import { blobsToCopy, isForeign, readManifest, type Descriptor } from './plan.ts';
import { asSparseRefusal } from './sparse-index.ts';
import type { UploadSessions } from './upload-sessions.ts';
import type { LookOptions } from './whole-image.ts';
import type { Manifest, ManifestHead, RateLimit, RepositoryClient } from './port.ts';

export interface CopyProgress {
  bytesDone: number;
  bytesTotal: number;
  blobsDone: number;
  blobsTotal: number;
}

export interface CopyOptions {
  source: RepositoryClient;
  /** Tag or digest at the source. */
  reference: string;
  target: RepositoryClient;
  /** Tag written last at the target; the digest itself for what gets no tag of its own. */
  targetTag: string;
  /** What other copies into the target know of its blobs. Default: nothing. */
  turns?: BlobTurns;
  /** What other processes left of uploads. Default: nothing. */
  sessions?: UploadSessions;
  /** Which platforms of an index to copy; the index itself stays whole. Default: all. */
  wants?: ((child: Descriptor) => boolean) | undefined;
  /** Where the bytes of foreign layers are read from; absent: they are left out. */
  foreignLayer?: ((blob: Descriptor) => RepositoryClient) | undefined;
  /** Blobs at a time. Default 3. */
  concurrency?: number;
  /** What is larger is not copied: `too-large`. Default: no limit. */
  maxBytes?: number;
  /** Longest PATCH. Default: what is left of a blob goes in one, as other clients send it; a cut one is gone on with in any case. */
  chunkBytes?: number;
  /** Go through every blob although the tag is right: refills what the target lost, or what `wants` newly asks for. */
  thorough?: boolean;
  /** Somebody may have begun this copy before: an image's config is looked for at the target before the source is asked for it. Default: when the target has the tag. */
  begun?: boolean;
  signal?: AbortSignal;
  onProgress?: (progress: CopyProgress) => void;
  /** Told which digest is going to be copied, before any of its blobs is. */
  onRoot?: (digest: string) => void;
  /** Called before the tag leaves what it names at the target, so that this can be given a tag of its own. */
  onLeave?: (digest: string) => Promise<void>;
}

export interface CopyResult {
  digest: string;
  mediaType: string;
  /** The target had the tag on this digest: nothing was read but two heads; `bytes`, `blobs`, `platforms` and `manifests` are empty then. */
  skipped: boolean;
  /** Bytes of the image as the target holds it, manifests included; and what of it had to be sent. */
  bytes: number;
  bytesCopied: number;
  blobs: { total: number; copied: number; mounted: number; present: number };
  platforms: ImagePlatform[];
  /** Digests of the manifests below the root that the target has, but those that attest another one. */
  manifests: string[];
  /** What the source said of its quota. */
  rateLimit?: RateLimit;
}

/**
 * Copies an image byte for byte: blobs, then the manifests below, then the root under its tag, each confirmed by its digest; so a crash
 * leaves garbage at worst, never a tag that points at holes. Repeating it is harmless and does not send again what is there. Memory does not
 * depend on the size of blobs. Throws RegistryError.
 */
export async function copyImage(options: CopyOptions): Promise<CopyResult> {
  const { source, target, targetTag } = options;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  try {
    const held = await find(target, targetTag, signal);
    // The target is close, upstream counts: what has to be read anyway is not asked for before.
    const head = held === undefined || options.thorough === true ? undefined : await resolve(options, signal);
    if (held !== undefined && held.digest === head?.digest) return nothingToDo(held, head);
    const root = await openRoot(source, options.reference, head?.digest, signal);
    options.onRoot?.(root.digest);
    const begun = options.begun === true || held !== undefined;
    const tree = await walkManifests(source, root, {
      wants: options.wants,
      ...(held === undefined ? {} : { near: target }),
      ...(begun ? { held: target } : {}),
      signal,
    });
    const blobs = blobsToCopy(tree.blobs, options.foreignLayer !== undefined);
    const bytes = sizeOf(tree, blobs);
    if (bytes > (options.maxBytes ?? Infinity))
      throw new RegistryError('too-large', `${source.host}/${source.repository}@${root.digest} has ${bytes} bytes`);
    const counts = await copyBlobs(options, tree, blobs, stop, signal);
    if (held !== undefined && held.digest !== root.digest) await options.onLeave?.(held.digest);
    await putManifests(target, targetTag, tree, signal);
    const rateLimit = root.rateLimit ?? head?.rateLimit;
    return {
      digest: root.digest,
      mediaType: readManifest(root).mediaType,
      skipped: false,
      bytes,
      bytesCopied: counts.bytesCopied,
      blobs: { total: blobs.length, copied: counts.copied, mounted: counts.mounted, present: counts.present },
      platforms: tree.platforms,
      manifests: manifestsBelow(tree),
      ...(rateLimit === undefined ? {} : { rateLimit }),
    };
  } catch (error) {
    stop.abort();
    throw error;
  }
}

export interface DescribeOptions extends LookOptions {
  /** Told of each blob that the copy lists: a tag is written when they are there. */
  readonly onBlob?: ((blob: Descriptor) => void) | undefined;
}

/**
 * What a copy of `digest` holds, read from the target alone: for a copy that was skipped by somebody who never saw it. A platform that is not
 * there is `absent` when it is wanted, else `left`.
 */
export async function describeImage(
  target: RepositoryClient,
  reference: string,
  { foreignLayers = false, onBlob, ...options }: DescribeOptions = {},
): Promise<Pick<CopyResult, 'digest' | 'mediaType' | 'bytes' | 'blobs' | 'platforms' | 'manifests'>> {
  const root = await target.openManifest(reference, options.signal === undefined ? {} : { signal: options.signal });
  const tree = await walkManifests(target, root, { ...options, lookAtAll: true });
  const { mediaType } = readManifest(root);
  const blobs = blobsToCopy(tree.blobs, foreignLayers);
  if (onBlob !== undefined) blobs.forEach((blob) => onBlob(blob));
  return {
    digest: root.digest,
    mediaType,
    bytes: sizeOf(tree, blobs),
    blobs: { total: blobs.length, copied: 0, mounted: 0, present: blobs.length },
    platforms: tree.platforms,
    manifests: manifestsBelow(tree),
  };
}

async function resolve(options: CopyOptions, signal: AbortSignal): Promise<Pick<ManifestHead, 'digest' | 'rateLimit'>> {
  if (isDigest(options.reference)) return { digest: options.reference };
  return options.source.headManifest(options.reference, { signal });
}

async function find(target: RepositoryClient, tag: string, signal: AbortSignal): Promise<ManifestHead | undefined> {
  try {
    return await target.headManifest(tag, { signal });
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** The root: by the digest that was resolved, so that a tag that moves meanwhile changes nothing; by tag when the registry forgot it at once. */
async function openRoot(
  source: RepositoryClient,
  reference: string,
  digest: string | undefined,
  signal: AbortSignal,
): Promise<Manifest> {
  try {
    return await source.openManifest(digest ?? reference, { signal });
  } catch (error) {
    const moved = error instanceof RegistryError && error.code === 'not-found' && (digest ?? reference) !== reference;
    if (!moved) throw error;
    return source.openManifest(reference, { signal });
  }
}

async function copyBlobs(
  options: CopyOptions,
  tree: ManifestTree,
  blobs: readonly Descriptor[],
  stop: AbortController,
  signal: AbortSignal,
) {
  const counts = { copied: 0, mounted: 0, present: 0, bytesCopied: 0 };
  const progress: CopyProgress = {
    bytesDone: 0,
    bytesTotal: blobs.reduce((sum, blob) => sum + blob.size, 0),
    blobsDone: 0,
    blobsTotal: blobs.length,
  };
  options.onProgress?.({ ...progress });
  let first: { error: unknown } | undefined;
  await inParallel(blobs, options.concurrency ?? 3, async (blob) => {
    let done = 0;
    const onBytes = (bytes: number) => {
      progress.bytesDone += bytes - done;
      done = bytes;
      options.onProgress?.({ ...progress });
    };
    try {
      const outcome = await copyBlob({
        source: (isForeign(blob) ? options.foreignLayer?.(blob) : undefined) ?? options.source,
        target: options.target,
        blob,
        turns: options.turns ?? ALONE,
        sessions: options.sessions,
        inline: tree.inline.get(blob.digest),
        chunkBytes: options.chunkBytes ?? Infinity,
        signal,
        onBytes,
      });
      counts[outcome] += 1;
      if (outcome === 'copied') counts.bytesCopied += blob.size;
    } catch (error) {
      // The other blobs stop too: what they have sent is kept by their sessions or lost, never wrong.
      first ??= { error };
      stop.abort();
      throw first.error;
    }
    progress.blobsDone += 1;
    onBytes(blob.size);
  });
  return counts;
}

async function putManifests(
  target: RepositoryClient,
  tag: string,
  tree: ManifestTree,
  signal: AbortSignal,
): Promise<void> {
  const put = (reference: string, manifest: Manifest) =>
    target.putManifest(reference, manifest.bytes, readManifest(manifest).mediaType, { signal });
  try {
    for (const manifest of tree.descendants) await put(manifest.digest, manifest);
    // Written under its tag a manifest is there by its sha256, too; by another digest only when it is written so.
    if (parseDigest(tree.root.digest)?.algorithm !== 'sha256') await put(tree.root.digest, tree.root);
    await put(tag, tree.root);
  } catch (error) {
    throw asSparseRefusal(error, target, lackingOf(tree));
  }
}

function manifestsBelow({ descendants, attestations }: ManifestTree): string[] {
  return descendants.flatMap(({ digest }) => (attestations.has(digest) ? [] : [digest]));
}

function nothingToDo(held: ManifestHead, head: Pick<ManifestHead, 'rateLimit'>): CopyResult {
  return {
    digest: held.digest,
    mediaType: held.mediaType,
    skipped: true,
    bytes: 0,
    bytesCopied: 0,
    blobs: { total: 0, copied: 0, mounted: 0, present: 0 },
    platforms: [],
    manifests: [],
    ...(head.rateLimit === undefined ? {} : { rateLimit: head.rateLimit }),
  };
}

function sizeOf(tree: ManifestTree, blobs: readonly Descriptor[]): number {
  const manifests = [tree.root, ...tree.descendants].reduce((sum, manifest) => sum + manifest.bytes.length, 0);
  return manifests + blobs.reduce((sum, blob) => sum + blob.size, 0);
}
