/** A code that a person can search for and alert on; `http` is what the node proxy answers with, `oci` the spec's code. */
export interface ErrorCode {
  readonly code: string;
  readonly http: number;
  /** Code of the distribution spec's `errors[]`. */
  readonly oci: string;
  readonly meaning: string;
  readonly remedy: string;
}

const define = (code: string, http: number, oci: string, meaning: string, remedy: string): ErrorCode => ({
  code,
  http,
  oci,
  meaning,
  remedy,
});

/** Every error that leaves kuik, declared once. */
export const ERROR_CODES = {
  unauthorized: define(
    'KUIK-REG-401',
    401,
    'UNAUTHORIZED',
    'the upstream registry refused every credential',
    'check the pull secrets of the pod and its service account',
  ),
  forbidden: define(
    'KUIK-REG-403',
    403,
    'DENIED',
    'the upstream registry denied access',
    'check what the credential may read',
  ),
  notFound: define(
    'KUIK-REG-404',
    404,
    'MANIFEST_UNKNOWN',
    'neither the cache nor the upstream registry has it',
    'check the name and the tag, and that a private image has its pull secret',
  ),
  blobNotFound: define(
    'KUIK-REG-405',
    404,
    'BLOB_UNKNOWN',
    'neither the cache nor the upstream registry has this blob',
    'pull the image again',
  ),
  tagLies: define(
    'KUIK-REG-406',
    404,
    'MANIFEST_UNKNOWN',
    'the upstream registry does not have what the tag names',
    "ask the registry's operator: a stale proxy cache, or content that is blocked",
  ),
  repositoryUnknown: define(
    'KUIK-REG-407',
    404,
    'NAME_UNKNOWN',
    'neither the cache nor the upstream registry knows the repository',
    'check the name, and that a private repository has its pull secret',
  ),
  rateLimited: define(
    'KUIK-REG-429',
    429,
    'TOOMANYREQUESTS',
    'the upstream registry limits our requests',
    'wait, or authenticate for a higher limit',
  ),
  upstreamFailed: define(
    'KUIK-REG-502',
    502,
    'UNKNOWN',
    'the upstream registry answered with an error',
    "see the upstream registry's status",
  ),
  upstreamUnreachable: define(
    'KUIK-REG-503',
    503,
    'UNKNOWN',
    'the upstream registry cannot be reached and the cache does not have it',
    'check that the registry is up and that the cluster can reach it',
  ),
  upstreamTimeout: define(
    'KUIK-REG-504',
    504,
    'UNKNOWN',
    'the upstream registry did not answer in time and the cache does not have it',
    'check that the registry is up and that the cluster can reach it',
  ),
  badDigest: define(
    'KUIK-REG-520',
    502,
    'UNKNOWN',
    'the upstream registry sent bytes that do not match their digest',
    "report it to the registry's operator",
  ),
  addressRefused: define(
    'KUIK-REG-530',
    403,
    'DENIED',
    "the registry's address is not allowed",
    'set registries.<host>.allowPrivate or registries.<host>.address, if that address is meant',
  ),
  tls: define(
    'KUIK-REG-531',
    502,
    'UNKNOWN',
    "the upstream registry's certificate is not trusted",
    'set registries.<host>.ca',
  ),
  nameInvalid: define(
    'KUIK-PRX-400',
    400,
    'NAME_INVALID',
    'the name is no repository',
    'use localhost:<port>/<host>/<path>',
  ),
  manifestReferenceInvalid: define(
    'KUIK-PRX-401',
    400,
    'TAG_INVALID',
    'the reference is neither a tag nor a digest',
    'check the tag or digest',
  ),
  digestInvalid: define('KUIK-PRX-402', 400, 'DIGEST_INVALID', 'the digest is malformed', 'use sha256:<64 hex>'),
  routeUnknown: define('KUIK-PRX-404', 404, 'UNSUPPORTED', 'there is no such route', 'only pulls are served here'),
  readOnly: define('KUIK-PRX-405', 405, 'UNSUPPORTED', 'the proxy only serves pulls', 'push to the registry itself'),
  rangeInvalid: define(
    'KUIK-PRX-416',
    416,
    'UNSUPPORTED',
    'the range lies outside the blob',
    'ask for bytes within its size',
  ),
  internal: define('KUIK-PRX-500', 500, 'UNKNOWN', 'the proxy failed', 'see its log for the request id'),
  brokerUnavailable: define(
    'KUIK-CRD-503',
    503,
    'UNAVAILABLE',
    'no credential could be had: the broker does not answer',
    'see pod-watcher; cached and public images are still served',
  ),
  brokerDenied: define(
    'KUIK-CRD-403',
    403,
    'DENIED',
    'this node runs no pod that uses the repository',
    'check on which node the pod runs: only that one may pull its private images',
  ),
  secretInvalid: define(
    'KUIK-CRD-422',
    401,
    'UNAUTHORIZED',
    'a pull secret cannot be read',
    'fix the secret named in the message',
  ),
  grantNeeded: define(
    'KUIK-ACC-401',
    401,
    'UNAUTHORIZED',
    'the image is private, and no valid pull secret of kuik came with the request',
    'the pod needs the pull secret kuik-pull-<service account>, which admission adds and pod-watcher writes; kubelet tries again',
  ),
  accessDenied: define(
    'KUIK-ACC-403',
    403,
    'DENIED',
    'the registry did not confirm that this service account may pull the image',
    'give the pod or its service account a pull secret that the registry accepts for the image',
  ),
  hostNotUsed: define(
    'KUIK-ACC-404',
    403,
    'DENIED',
    'no pod and no resource of the cluster names an image of this registry',
    'name it in a pod, a CachedImage or a Repository: node proxies ask no other registries (but with privateImages.mode off)',
  ),
  accessUnknown: define(
    'KUIK-ACC-503',
    503,
    'UNAVAILABLE',
    'nobody can be asked now whether this service account may pull the image',
    'see pod-watcher and the registry; privateImages.unknownWhenDown decides what happens meanwhile',
  ),
  providerFailed: define(
    'KUIK-CRD-502',
    401,
    'UNAUTHORIZED',
    'a credential provider (cloud identity, exec plugin) gave no login',
    'see the reason in the message, and the role or plugin that it names',
  ),
  pinMissing: define(
    'KUIK-CPY-404',
    404,
    'MANIFEST_UNKNOWN',
    'neither the cache nor the upstream registry has the digest that spec.pin names',
    'correct spec.pin of the CachedImage, or take it off: until then every pull of the tag asks for that digest',
  ),
  cacheUnavailable: define(
    'KUIK-CPY-503',
    503,
    'UNAVAILABLE',
    'the cache registry does not take the copy',
    "see the cache registry's log and storage",
  ),
  cacheDamaged: define(
    'KUIK-CPY-520',
    503,
    'UNAVAILABLE',
    'the cache registry holds bytes that do not match their digest: its storage is damaged',
    "delete docker/registry/v2/blobs/sha256/<first two>/<hex>/data of each digest named from the cache registry's storage, and look after that; the next try copies it anew",
  ),
  configInvalid: define(
    'KUIK-CFG-001',
    0,
    'UNSUPPORTED',
    'the configuration has mistakes',
    'fix every line that is named',
  ),
} as const satisfies Record<string, ErrorCode>;

export type ErrorName = keyof typeof ERROR_CODES;
