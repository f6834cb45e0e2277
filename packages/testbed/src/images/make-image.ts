import { digestOf, normalizePlatform, parsePlatform, type Platform } from '@kuik/image';
import { imageOf, indexOf, layerDescriptor, type Descriptor, type IndexChild, type MadeImage } from './image.ts';
import { writeJson, type JsonStyle } from './json-style.ts';
import { makeLayer, type LayerInput } from './layer.ts';
import { PROGRAM, programLayer } from './program-layer.ts';
import { EMPTY_JSON_TYPE, MEDIA_TYPES, type ImageFormat } from './media-types.ts';

export interface ImageOptions {
  /** Everything about the image follows from this and the other options; another seed shares no blob with it. */
  readonly seed: string;
  /** Default one layer of 1 KiB. */
  readonly layers?: readonly LayerInput[];
  /** `linux/amd64` unless told otherwise. */
  readonly platform?: string;
  readonly format?: ImageFormat;
  readonly json?: JsonStyle;
  readonly annotations?: Readonly<Record<string, string>>;
  /** What this image refers to (OCI referrers). */
  readonly subject?: Descriptor;
  /** Runtime part of the config: `Cmd`, `Env`, `Labels`.. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** One more layer in front, with a program: without arguments it waits to be told to end, with any it ends at once. Default false. */
  readonly runnable?: boolean;
}

/** A single image: one manifest, one config, its layers as gzipped tars that real clients unpack. */
export async function makeImage(options: ImageOptions): Promise<MadeImage> {
  const { seed, format = 'oci', json = 'compact', annotations, subject, runnable = false } = options;
  const platform = platformOf(options.platform ?? 'linux/amd64');
  const data = await Promise.all(
    (options.layers ?? [1024]).map((layer, place) => makeLayer(layer, `${seed}/${place}`)),
  );
  const layers = runnable ? [programLayer(platform.architecture), ...data] : data;
  const config = writeJson({
    created: '1970-01-01T00:00:00Z',
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: { Labels: { 'test.seed': seed }, ...(runnable ? { Entrypoint: [PROGRAM] } : {}), ...options.config },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, place) => ({ created: '1970-01-01T00:00:00Z', created_by: `layer ${place} of ${seed}` })),
  });
  return imageOf({
    format,
    json,
    config: { bytes: config, mediaType: MEDIA_TYPES[format].config },
    layers: layers.map((layer) => layerDescriptor(layer, format)),
    annotations,
    subject,
    platform,
  });
}

export interface IndexOptions extends Omit<ImageOptions, 'platform' | 'subject'> {
  /** Default amd64 and arm64, both linux. */
  readonly platforms?: readonly string[];
  /** Leading layers that are the same blob for every platform. Default 0. */
  readonly sharedLayers?: number;
  /** An attestation child per platform, as buildkit writes them. Default true for OCI, false for Docker. */
  readonly attestation?: boolean;
  /** One more child, without `platform`. Default false. */
  readonly childWithoutPlatform?: boolean;
}

/** A multi-platform image: an OCI index (or Docker manifest list) whose children differ by platform. */
export async function makeIndex(options: IndexOptions): Promise<MadeImage> {
  const {
    seed,
    format = 'oci',
    json = 'compact',
    layers = [1024],
    sharedLayers = 0,
    annotations,
    config,
    runnable,
  } = options;
  const children: IndexChild[] = [];
  const child = (suffix: string, platform: string): Promise<MadeImage> =>
    makeImage({
      seed: `${seed}/${suffix}`,
      platform,
      format,
      json,
      ...(config === undefined ? {} : { config }),
      ...(runnable === undefined ? {} : { runnable }),
      layers: layers.map((layer, place) => (place < sharedLayers ? withSeed(layer, `${seed}/shared/${place}`) : layer)),
    });
  for (const name of options.platforms ?? ['linux/amd64', 'linux/arm64']) {
    children.push({ image: await child(name, name), platform: platformOf(name) });
  }
  if (options.childWithoutPlatform === true) {
    const { platforms: _hidden, ...image } = await child('no-platform', 'linux/riscv64');
    children.push({ image: { ...image, platforms: {} } });
  }
  if (options.attestation ?? format === 'oci') {
    for (const { image } of children.filter(({ platform }) => platform !== undefined))
      children.push(attestationOf(image, json));
  }
  return indexOf(children, { format, json, ...(annotations === undefined ? {} : { annotations }) });
}

/** An attestation child (buildkit, docs/attestations/attestation-storage.md): platform unknown, tied to its image by annotations. */
export function attestationOf(image: MadeImage, json: JsonStyle = 'compact'): IndexChild {
  const statement = writeJson({
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v0.2',
    subject: [{ name: '_', digest: { sha256: image.digest.replace('sha256:', '') } }],
    predicate: { builder: { id: '' }, buildType: 'testbed' },
  });
  const digest = digestOf(statement);
  const config = writeJson({
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: [digest] },
  });
  const attestation = imageOf({
    format: 'oci',
    json,
    config: { bytes: config, mediaType: MEDIA_TYPES.oci.config },
    layers: [
      {
        mediaType: 'application/vnd.in-toto+json',
        digest,
        size: statement.length,
        annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
        open: () => [statement],
      },
    ],
  });
  return {
    image: attestation,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': image.digest },
  };
}

export interface ArtifactOptions {
  readonly seed: string;
  /** What it is about: a signature's image, an SBOM's image. */
  readonly subject?: Descriptor;
  readonly artifactType?: string;
  /** Bytes of its one blob. Default 512. */
  readonly bytes?: number;
  readonly json?: JsonStyle;
}

/** An OCI artifact (image manifest with `artifactType`, the empty config and one opaque blob), with `subject` a referrer. */
export async function makeArtifact(options: ArtifactOptions): Promise<MadeImage> {
  const layer = await makeLayer({ bytes: options.bytes ?? 512, encoding: 'raw' }, `${options.seed}/artifact`);
  return imageOf({
    format: 'oci',
    json: options.json ?? 'compact',
    config: { bytes: Buffer.from('{}'), mediaType: EMPTY_JSON_TYPE },
    layers: [
      { mediaType: 'application/octet-stream', digest: layer.digest, size: layer.size, open: () => layer.open() },
    ],
    artifactType: options.artifactType ?? 'application/vnd.example.signature.v1',
    subject: options.subject,
  });
}

function withSeed(layer: LayerInput, seed: string): LayerInput {
  if (layer === 'empty') return layer;
  return typeof layer === 'number' ? { bytes: layer, seed } : { seed, ...layer };
}

function platformOf(text: string): Platform {
  const platform = parsePlatform(text);
  if (platform === undefined) throw new TypeError(`"${text}" is no platform: write os/architecture[/variant]`);
  return normalizePlatform(platform);
}
