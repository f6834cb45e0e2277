export { digestOf, isDigest, parseDigest, type Digest, type DigestAlgorithm } from './digest.ts';
export { GRAMMAR, GRAMMAR_LIMITS, HUB_ALIASES } from './grammar.ts';
export {
  canonicalHost,
  formatReference,
  InvalidReference,
  isRepositoryPath,
  isTag,
  parseReference,
  parseRepository,
  repositoryName,
  tryParseReference,
  type Reference,
} from './reference.ts';
export { isLoopbackHost } from './loopback-host.ts';
export { formatPlatform, normalizePlatform, parsePlatform, samePlatform, type Platform } from './platform.ts';
export { wantsPlatform } from './wanted-platforms.ts';
export { fromProxyImage, repositoriesOf, toProxyImage } from './proxy-image.ts';
export {
  anchorTag,
  cacheTag,
  cosignTags,
  digestOfAnchor,
  fromCacheRepository,
  referrersTag,
  subjectOfTag,
  toCacheRepository,
} from './cache-name.ts';
export {
  cachedImageName,
  originalImageKeyV1,
  repositoryLabel,
  repositoryObjectName,
  sanitizeName,
  stateKey,
} from './object-name.ts';
