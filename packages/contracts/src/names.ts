/** API group of our custom resources. */
export const GROUP = 'kuik.enix.io';
export const VERSION = 'v1alpha1';

/** The API server refuses an object whose annotations, keys and values, are more bytes than this in sum. */
export const ANNOTATIONS_MAX_BYTES = 256 * 1024;

/** One JSON annotation on a rewritten pod: what each container asked for, keys `c:`, `i:`, `e:`, `v:` + name. */
export const ORIGINAL_IMAGES_ANNOTATION = 'kuik.enix.io/original-images';
/** One on every pod that is not left alone: why each image is what it is, `{"c:app": "Rewritten default"}` (reason and rule). */
export const DECISIONS_ANNOTATION = 'kuik.enix.io/decisions';
/** Copy again now, whatever the schedule says; removed when the copy succeeded. */
export const FORCE_UPDATE_ANNOTATION = 'kuik.enix.io/force-update';
/** kuik v1's spelling of the same wish. */
export const FORCE_UPDATE_ANNOTATION_V1 = 'cachedimage.kuik.enix.io/forceUpdate';
/** On CachedImages: the admission that they were made for. Follows an image from there to its first byte. */
export const REQUEST_ID_ANNOTATION = 'kuik.enix.io/request-id';

/** On pods: `policy`, when the API server decided by itself and nobody has to be asked any more. */
export const ADMITTED_BY_ANNOTATION = 'kuik.enix.io/admitted-by';

/** On CachedImages: the repository, as in kuik v1. */
export const REPOSITORY_LABEL = 'kuik.enix.io/repository';
/** On pods: at least one image goes through the proxy. */
export const MANAGED_LABEL = 'kuik.enix.io/managed';
/** On pods: the opt-out of kuik v1, value `ignore`. */
export const CACHING_POLICY_LABEL = 'kube-image-keeper.enix.io/image-caching-policy';

/** Serves `kubectl delete` only; set by pod-watcher, removed by gc. */
export const FINALIZER = 'kuik.enix.io/cached-image';
/** Finalizers of kuik v1, taken over with the object. */
export const FINALIZERS_V1 = ['cachedimage.kuik.enix.io/finalizer', 'repository.kuik.enix.io/finalizer'] as const;

/** kuik v1's controllers in `metadata.managedFields`: the name of their binary, and how they wrote (controller-runtime never applies by itself). */
export const FIELD_MANAGER_V1 = { manager: 'manager', operation: 'Update' } as const;

/** One server-side-apply field manager per stanza (see docs/architecture.md, who may write what). */
export const FIELD_MANAGERS = {
  /** Facts and summary: both are pod-watcher's, and one apply says both. */
  description: 'kuik-pod-watcher-status',
  cache: 'kuik-image-copier',
  upstream: 'kuik-monitor',
  removal: 'kuik-gc',
  /** The admission policy: rules that the API server goes by itself. */
  policy: 'kuik-webhook-policy',
} as const;

/** What the pull secrets that admission adds are called, before the name of the service account. */
export const PULL_SECRET_PREFIX = 'kuik-pull-';
/** User name beside a pull grant (pull-grant.ts), which is the password. */
export const PULL_SECRET_USER = 'kuik';
/** On those Secrets, RFC 3339: when the next grant is written. */
export const RENEW_AFTER_ANNOTATION = 'kuik.enix.io/renew-after';
/** On those Secrets: which key signed the grant, and how the proxy is named in it. */
export const GRANT_KEY_ANNOTATION = 'kuik.enix.io/grant-key';

/** The pull secret of one service account's pods; undefined when that would be longer than a name may be. */
export function pullSecretName(serviceAccount: string): string | undefined {
  const name = `${PULL_SECRET_PREFIX}${serviceAccount}`;
  return name.length > 253 ? undefined : name;
}

/** Fixed names. */
export const WEBHOOK_CA_SECRET = 'kuik-webhook-ca';
export const WEBHOOK_CONFIGURATION = 'kuik-webhook';
/** MutatingAdmissionPolicy and its binding. */
export const ADMISSION_POLICY = 'kuik-admission';

/** Event reasons on CachedImages. */
export const EVENT_REASONS = {
  copied: 'Copied',
  copyFailed: 'CopyFailed',
  cacheDamaged: 'CacheDamaged',
  upstreamDeleted: 'UpstreamDeleted',
  upstreamBack: 'UpstreamBack',
  tagMoved: 'TagMoved',
  servedStale: 'ServedStale',
  expiring: 'Expiring',
  kept: 'Kept',
  removed: 'Removed',
  removalWaits: 'RemovalWaits',
  duplicate: 'Duplicate',
} as const;

/** Event reasons on Repositories; a wish for updates that cannot be read is told by its own reason. */
export const REPOSITORY_EVENT_REASONS = {
  upToDate: 'UpToDate',
  failing: 'ErrImagePull',
  terminating: 'Terminating',
} as const;

/** Event reason on the owner of pods that are not rewritten any more. */
export const REWRITE_STOPPED = 'RewriteStopped';

/** Header by which a proxy tells a copier by what right it reads: `anonymous` or `credential`. */
export const TRANSFER_ACCESS_HEADER = 'kuik-access';

/** Header by which a proxy tells a copier that its client asked for a range: it may leave after a piece, and fetch other pieces beside it. */
export const TRANSFER_PIECES_HEADER = 'kuik-pieces';

/** Which process answers at a copier's address: another one after a restart. */
export const TRANSFER_INSTANCE_HEADER = 'kuik-instance';
/** How often a copier says over NATS that it gives away what it reads, in ms; after three times that it is forgotten. */
export const TRANSFER_OWNER_EVERY_MS = 2_000;
