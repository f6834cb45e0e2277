import { formatPlatform, isDigest } from '@kuik/image';
import { RegistryError } from './errors.ts';
import type { Manifest } from './port.ts';

/** What names content by its digest (OCI image spec, descriptor.md); fields we do not know stay where they are: in the bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

/** A manifest's outgoing names. */
export interface ManifestContent {
  kind: 'index' | 'image';
  /** What the manifest says it is, else what the registry said, else by its shape. */
  mediaType: string;
  /** Manifests (and, in build caches, blobs) that an index lists. */
  children: readonly Descriptor[];
  /** Config first, then layers, as they come. */
  blobs: readonly Descriptor[];
  /** Digest of what it is about: a signature's image (OCI image spec, `subject`). */
  subject?: string;
}

const OCI_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  image: 'application/vnd.oci.image.manifest.v1+json',
};
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;
/** Layers that a registry may not hold: their bytes are at `urls`, for the node to fetch. */
const FOREIGN = /(?:foreign|nondistributable)/;

/**
 * Reads the descriptors of a manifest, leniently: unknown media types and fields are carried, not judged. Throws RegistryError
 * `rejected` for what must not be copied: schema 1 (its digest covers its name), index and image at once (CVE-2021-41190), and descriptors
 * without a proper digest or size.
 */
export function readManifest(manifest: Pick<Manifest, 'bytes' | 'mediaType' | 'digest'>): ManifestContent {
  const refuse = (why: string) => new RegistryError('rejected', `manifest ${manifest.digest}: ${why}`);
  let json: unknown;
  try {
    json = JSON.parse(manifest.bytes.toString('utf8'));
  } catch (error) {
    throw new RegistryError('rejected', `manifest ${manifest.digest}: not JSON`, { cause: error });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refuse('not a JSON object');
  const { manifests, layers, config, blobs, schemaVersion, mediaType, subject } = json as Record<string, unknown>;
  if (SCHEMA_1.test(manifest.mediaType) || schemaVersion === 1)
    throw refuse('Docker schema 1 is no longer supported; push the image anew');
  if (manifests !== undefined && (layers !== undefined || config !== undefined))
    throw refuse('it is an index and an image at once');
  const list = (value: unknown, field: string): Descriptor[] => {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) throw refuse(`${field} is not a list`);
    return value.map((entry, at) => descriptor(entry, `${field}[${at}]`, refuse));
  };
  const kind = manifests === undefined ? 'image' : 'index';
  const stated = typeof mediaType === 'string' && mediaType !== '' ? mediaType : manifest.mediaType;
  const type = /^[a-z]+\/[\w.+-]+$/.test(stated) && stated !== 'application/octet-stream' ? stated : OCI_TYPES[kind];
  const about = subjectDigest(subject);
  const said = { kind, mediaType: type, ...(about === undefined ? {} : { subject: about }) } as const;
  if (kind === 'index') return { ...said, children: list(manifests, 'manifests'), blobs: [] };
  const own = config === undefined || config === null ? [] : [descriptor(config, 'config', refuse)];
  return { ...said, children: [], blobs: [...own, ...list(layers, 'layers'), ...list(blobs, 'blobs')] };
}

function subjectDigest(subject: unknown): string | undefined {
  const { digest } = (typeof subject === 'object' && subject !== null ? subject : {}) as { digest?: unknown };
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined;
}

/** Platform of a child as `os/arch[/variant]`, or undefined for what belongs to none (attestations say `unknown/unknown`). */
export function platformOf(descriptor: Descriptor): string | undefined {
  const { platform } = descriptor;
  if (platform === undefined || platform.os === 'unknown' || platform.architecture === 'unknown') return undefined;
  return formatPlatform(platform);
}

/** Digest of the manifest that this one attests: BuildKit lists provenance and SBOMs beside what they are about. Undefined for anything else. */
export function attestedBy({ annotations = {} }: Descriptor): string | undefined {
  if (annotations['vnd.docker.reference.type'] !== 'attestation-manifest') return undefined;
  return annotations['vnd.docker.reference.digest'];
}

/** Whether an index lists this as a layer or config instead of a manifest (build caches do). */
export function isBlobDescriptor(descriptor: Descriptor): boolean {
  return /\.layer\.|rootfs\.diff|\.config\.|buildkit\.cacheconfig|container\.image\.v1/.test(descriptor.mediaType);
}

/** A layer that a registry may not hold, and that says where its bytes are. */
export function isForeign({ mediaType, urls = [] }: Descriptor): boolean {
  return FOREIGN.test(mediaType) && urls.length > 0;
}

/** Blobs to copy, each once, largest first so that the tail is short; foreign layers are left to their own URLs unless `foreignLayers`. */
export function blobsToCopy(blobs: Iterable<Descriptor>, foreignLayers = false): Descriptor[] {
  const byDigest = new Map<string, Descriptor>();
  for (const blob of blobs) {
    const left = isForeign(blob) && !foreignLayers;
    if (!left && !byDigest.has(blob.digest)) byDigest.set(blob.digest, blob);
  }
  return [...byDigest.values()].sort((a, b) => b.size - a.size || (a.digest < b.digest ? -1 : 1));
}

function descriptor(value: unknown, field: string, refuse: (why: string) => RegistryError): Descriptor {
  const entry = (typeof value === 'object' && value !== null ? value : {}) as Partial<
    Record<keyof Descriptor, unknown>
  >;
  const { digest, size, mediaType, urls, platform, annotations, artifactType } = entry;
  if (typeof digest !== 'string' || !isDigest(digest)) throw refuse(`${field} has no digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw refuse(`${field} has no size`);
  const { os, architecture, variant } = (platform ?? {}) as Record<string, unknown>;
  return {
    digest,
    size,
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    ...(Array.isArray(urls) ? { urls: urls.filter((url) => typeof url === 'string') } : {}),
    ...(typeof os === 'string' && typeof architecture === 'string'
      ? { platform: { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) } }
      : {}),
    ...(typeof annotations === 'object' && annotations !== null
      ? { annotations: annotations as Record<string, string> }
      : {}),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
  };
}
