export type {
  BlobRequest,
  ByteSink,
  CacheEndpoint,
  Credential,
  CredentialSource,
  Manifest,
  ManifestHead,
  OpenBlob,
  PullToken,
  PullTokenExchange,
  RateLimit,
  RegistryAccess,
  RegistryEndpoint,
  RegistryErrorCode,
  RegistryMap,
  RepositoryClient,
  Upload,
} from './port.ts';
export { createRegistryAccess, type RegistryAccessOptions } from './access.ts';
export { RegistryError } from './errors.ts';
export { readBlob } from './open-blob.ts';
export { MANIFEST_TYPES } from './manifests.ts';
export type { BlobTurns } from './blob-turns.ts';
export type { Timeouts } from './timeouts.ts';
export type { RegistryEvent, UpstreamWord } from './repository-requests.ts';
export type { Lookup } from './connect.ts';
export { openResuming, type BlobSource } from './resume.ts';
export { copyImage, describeImage, type CopyOptions, type CopyProgress, type CopyResult } from './copy.ts';
export { holdsWholeImage } from './whole-image.ts';
export type { ImagePlatform } from './manifest-tree.ts';
export type { Descriptor } from './plan.ts';
export { credentialsOf, readCacheEndpoint, readRegistries, readTimeouts } from './settings.ts';
