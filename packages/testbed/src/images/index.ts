/** Images made on the spot, deterministic by seed, and pushed to a real registry. */
export type { LayerEncoding, LayerInput, LayerSpec } from './layer.ts';
export type { JsonStyle } from './json-style.ts';
export { MANIFEST_TYPES, MEDIA_TYPES, type ImageFormat } from './media-types.ts';
export {
  imageOf,
  indexOf,
  type Descriptor,
  type IndexChild,
  type IndexShape,
  type MadeBlob,
  type MadeImage,
  type MadeManifest,
} from './image.ts';
export {
  attestationOf,
  makeArtifact,
  makeImage,
  makeIndex,
  type ArtifactOptions,
  type ImageOptions,
  type IndexOptions,
} from './make-image.ts';
export { imageOfPrograms, type ProgramImageOptions } from './program-image.ts';
export { pushImage, pushReferrer, type PushedImage, type PushOptions } from './push-image.ts';
