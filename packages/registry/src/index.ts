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
  RefreshTokenExchange,
  RegistryAccess,
  RegistryEndpoint,
  RegistryErrorCode,
  RegistryMap,
  RepositoryClient,
  Upload,
} from './port.ts';
export {
  createRegistryAccess,
  type Reconfigurable,
  type RegistryAccessOptions,
  type RegistrySettings,
} from './access.ts';
export { answeringProcess } from './answering-process.ts';
export { Breaker } from './breaker.ts';
export { toldBreakers } from './told-breakers.ts';
export { FINAL_WORDS, RegistryError, type AskedAs } from './errors.ts';
export { readBlob } from './open-blob.ts';
export { MANIFEST_TYPES } from './manifests.ts';
export type { BlobTurns } from './blob-turns.ts';
export { answerBoundMs, type Timeouts } from './timeouts.ts';
export type { RegistryEvent, UpstreamWord } from './repository-requests.ts';
export type { Lookup } from './connect.ts';
export { NO_CREDENTIALS } from './upstream-authorizer.ts';
export { blobSource, openResuming, resuming, type BlobSource } from './resume.ts';
export {
  copyImage,
  describeImage,
  type CopyOptions,
  type CopyProgress,
  type CopyResult,
  type DescribeOptions,
} from './copy.ts';
export { ReferrersRound, type CopiedReferrers } from './copy-referrers.ts';
export { referrersIndex, referrersOf, taggedReferrers, type Referrers } from './referrers.ts';
export { isIndexType, listedManifests, type ListedManifests } from './listed-manifests.ts';
export { SparseIndexRefused } from './sparse-index.ts';
export { platformOf } from './plan.ts';
export { holdsWholeImage, type LookOptions } from './whole-image.ts';
export type { ImagePlatform } from './manifest-tree.ts';
export type { Descriptor } from './plan.ts';
export {
  credentialsOf,
  readCacheEndpoint,
  readReadersCertificate,
  readRegistrySettings,
  readSettingFile,
  readTimeouts,
  registryFiles,
  UPSTREAM_SECTIONS,
} from './settings.ts';
export { copyBlob } from './copy-blob.ts';
export type { UploadSessions } from './upload-sessions.ts';
export { openBlobOver } from './open-blob.ts';
export { BufferPool } from './buffer-pool.ts';
