import type { LayerEncoding } from './layer.ts';

/** Docker's and OCI's way to write the same image. */
export type ImageFormat = 'oci' | 'docker';

/** Media types of each format (OCI image spec, media-types.md; Docker image manifest v2, schema 2). */
export const MEDIA_TYPES = {
  oci: {
    index: 'application/vnd.oci.image.index.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
  },
  docker: {
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
  },
} as const satisfies Record<ImageFormat, object>;

/** All four manifest types, as every client should send them in Accept. */
export const MANIFEST_TYPES: readonly string[] = [
  MEDIA_TYPES.oci.index,
  MEDIA_TYPES.oci.manifest,
  MEDIA_TYPES.docker.index,
  MEDIA_TYPES.docker.manifest,
];

export const EMPTY_JSON_TYPE = 'application/vnd.oci.empty.v1+json';

const SUFFIX: Record<ImageFormat, Record<LayerEncoding, string>> = {
  oci: { gzip: '+gzip', raw: '+gzip', zstd: '+zstd', tar: '' },
  docker: { gzip: '.gzip', raw: '.gzip', zstd: '.zstd', tar: '' },
};

/** The media type of a layer; a foreign one (its bytes live elsewhere) has its own. */
export function layerMediaType(format: ImageFormat, encoding: LayerEncoding, foreign: boolean): string {
  const suffix = SUFFIX[format][encoding];
  if (format === 'oci') return `application/vnd.oci.image.layer.${foreign ? 'nondistributable.' : ''}v1.tar${suffix}`;
  return `application/vnd.docker.image.rootfs.${foreign ? 'foreign.' : ''}diff.tar${suffix}`;
}
