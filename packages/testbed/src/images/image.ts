import { digestOf, formatPlatform, type Platform } from '@kuik/image';
import { writeJson, type JsonStyle } from './json-style.ts';
import type { MadeLayer } from './layer.ts';
import { layerMediaType, MEDIA_TYPES, type ImageFormat } from './media-types.ts';

/** OCI content descriptor (OCI image spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly urls?: readonly string[];
}

export interface MadeManifest extends Descriptor {
  readonly bytes: Buffer;
}

export interface MadeBlob {
  readonly digest: string;
  readonly size: number;
  open(): Iterable<Buffer>;
}

/** An image ready to be pushed: what a registry must hold, in the order that it accepts. */
export interface MadeImage {
  /** Descriptor of the manifest or index that a tag names. */
  readonly root: MadeManifest;
  readonly digest: string;
  /** Children before parents, the root last. */
  readonly manifests: readonly MadeManifest[];
  /** Configs and layers, each digest once. */
  readonly blobs: readonly MadeBlob[];
  /** `linux/amd64` -> digest of that platform's image manifest (attestations and children without platform are not here). */
  readonly platforms: Readonly<Record<string, string>>;
  /** Bytes of all blobs and manifests. */
  readonly bytes: number;
}

export interface ManifestParts {
  readonly format: ImageFormat;
  readonly json: JsonStyle;
  readonly config: { readonly bytes: Buffer; readonly mediaType: string };
  readonly layers: readonly (Descriptor & { readonly open?: () => Iterable<Buffer> })[];
  readonly artifactType?: string | undefined;
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Platform | undefined;
}

/** One image manifest with its blobs. A layer without `open` is named by the manifest, but never pushed (foreign). */
export function imageOf(parts: ManifestParts): MadeImage {
  const config = {
    mediaType: parts.config.mediaType,
    digest: digestOf(parts.config.bytes),
    size: parts.config.bytes.length,
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES[parts.format].manifest,
    ...(parts.artifactType === undefined ? {} : { artifactType: parts.artifactType }),
    config,
    layers: parts.layers.map(({ open: _open, ...descriptor }) => descriptor),
    ...(parts.subject === undefined ? {} : { subject: plainDescriptor(parts.subject) }),
    ...(parts.annotations === undefined ? {} : { annotations: parts.annotations }),
  };
  const root = manifestOf(manifest, manifest.mediaType, parts.json);
  const blobs = [
    { digest: config.digest, size: config.size, open: () => [parts.config.bytes] },
    ...parts.layers.flatMap(({ digest, size, open }) => (open === undefined ? [] : [{ digest, size, open }])),
  ];
  const platforms = parts.platform === undefined ? {} : { [formatPlatform(parts.platform)]: root.digest };
  return whole(root, [root], blobs, platforms);
}

export interface IndexChild {
  readonly image: MadeImage;
  /** Left out: a child without `platform`, as buildkit's caches and nested indexes have. */
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface IndexShape {
  readonly format?: ImageFormat;
  readonly json?: JsonStyle;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An OCI index or a Docker manifest list over made images; a child may itself be an index. */
export function indexOf(children: readonly IndexChild[], shape: IndexShape = {}): MadeImage {
  const format = shape.format ?? 'oci';
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES[format].index,
    ...(shape.artifactType === undefined ? {} : { artifactType: shape.artifactType }),
    manifests: children.map(({ image, platform, annotations }) => ({
      mediaType: image.root.mediaType,
      digest: image.digest,
      size: image.root.size,
      ...(platform === undefined ? {} : { platform }),
      ...(annotations === undefined ? {} : { annotations }),
    })),
    ...(shape.subject === undefined ? {} : { subject: plainDescriptor(shape.subject) }),
    ...(shape.annotations === undefined ? {} : { annotations: shape.annotations }),
  };
  const root = manifestOf(index, index.mediaType, shape.json);
  const platforms: Record<string, string> = {};
  for (const { image } of children) Object.assign(platforms, image.platforms);
  return whole(
    root,
    [...children.flatMap(({ image }) => image.manifests), root],
    children.flatMap(({ image }) => image.blobs),
    platforms,
  );
}

/** The descriptor of a layer in a format; with its bytes unless it is foreign. */
export function layerDescriptor(layer: MadeLayer, format: ImageFormat): ManifestParts['layers'][number] {
  const foreign = layer.urls !== undefined;
  return {
    mediaType: layerMediaType(format, layer.encoding, foreign),
    digest: layer.digest,
    size: layer.size,
    ...(layer.urls === undefined ? { open: () => layer.open() } : { urls: layer.urls }),
  };
}

function manifestOf(value: object, mediaType: string, json: JsonStyle | undefined): MadeManifest {
  const bytes = writeJson(value, json);
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
}

function plainDescriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function whole(
  root: MadeManifest,
  manifests: readonly MadeManifest[],
  blobs: readonly MadeBlob[],
  platforms: Record<string, string>,
): MadeImage {
  const uniqueManifests = unique(manifests);
  const uniqueBlobs = unique(blobs);
  const bytes = [...uniqueManifests, ...uniqueBlobs].reduce((total, { size }) => total + size, 0);
  return { root, digest: root.digest, manifests: uniqueManifests, blobs: uniqueBlobs, platforms, bytes };
}

function unique<T extends { readonly digest: string }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.digest, item])).values()];
}
