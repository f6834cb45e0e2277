import { z } from 'zod';
import { PHASES, UPSTREAM_STATES } from './phases.ts';

const time = z.iso.datetime({ offset: true });
const digest = z.string();
/** Stanzas carry the uid they speak of: one of another uid (an object deleted and made again) counts as absent. */
const forUid = z.string();
const int = z.int().min(0);

/** When nodes ask upstream, at a pull, whether a tag still names what is cached. */
export const CHECK_MODES = ['Always', 'Interval', 'Never'] as const;
export type CheckMode = (typeof CHECK_MODES)[number];

/** Digests that a tag named before and that are kept. */
export const HISTORY_MAX = 10;
/** Digests of one image that are named as damaged in the cache; who has more has to look at its whole storage anyway. */
export const DAMAGED_MAX = 20;

/** A failure that a person should see: stable code, one line, and when it is tried again. */
export const stanzaError = z.object({
  code: z.string(),
  message: z.string(),
  at: time,
  attempts: int.optional(),
  /** When the next try may be; absent: at the next resync. */
  retryAt: time.optional(),
});

/** A copy under way for longer than a moment. It counts until `until`, unless it is renewed: a worker that died is not believed for ever. */
export const copying = z.object({ since: time, until: time, bytesDone: int.optional(), bytesTotal: int.optional() });

export const cacheStanza = z.object({
  forUid,
  /** Digest under the cache tag; equal to upstream's when it was copied. */
  digest: digest.optional(),
  mediaType: z.string().optional(),
  /** Tag under which the cache holds it. */
  tag: z.string().optional(),
  platforms: z.array(z.string()).optional(),
  /** Platforms of the index that the cache does not hold: fetched from upstream when somebody pulls them. */
  platformsOnDemand: z.array(z.string()).optional(),
  /** Platforms of the index that were wanted and that upstream did not have: the next copy asks for them again. */
  platformsAbsent: z.array(z.string()).optional(),
  /** Platforms that no node of the cluster is known to run, kept because somebody pulled them. */
  platformsPulled: z.array(z.string()).optional(),
  bytes: int.optional(),
  blobs: int.optional(),
  /** Signatures, SBOMs and other things that refer to the image, copied with it; and why there are fewer than upstream has. */
  referrers: int.optional(),
  referrersLeft: z.string().optional(),
  /** When upstream last showed a manifest of the repository to a copy that brought no credential: anybody may read it. */
  publicAt: time.optional(),
  /** Blobs that needed no transfer: present or mounted. */
  sharedBlobs: int.optional(),
  copiedAt: time.optional(),
  /** When upstream was last asked what the image's name stands for; absent: at `copiedAt`. A look for what the cache lacks asks by digest, or not at all. */
  askedAt: time.optional(),
  /** What `spec.pin` named when this was copied: the cache keeps it under a tag of its own. */
  pinned: digest.optional(),
  /** The forced update that this copy answered (annotation's value). */
  forced: z.string().optional(),
  error: stanzaError.optional(),
  /** What the cache holds of it with bytes that are not what their digest says. */
  damaged: z.array(digest).max(DAMAGED_MAX).optional(),
  copying: copying.optional(),
  /** What the tag named before, the latest first: each stays in the cache under its own anchor, so that a person can go back (`spec.pin`). */
  history: z
    .array(z.object({ digest, at: time.describe('When the tag had moved on') }))
    .max(HISTORY_MAX)
    .optional(),
});

export const upstreamStanza = z.object({
  forUid,
  state: z.enum(UPSTREAM_STATES),
  digest: digest.optional(),
  lastSeen: time.optional(),
  /** When upstream first said that it does not have the image; stays until it is seen there again, whatever comes of asking meanwhile. */
  goneSince: time.optional(),
  error: stanzaError.optional(),
});

export const removalStanza = z.object({
  forUid,
  condemnedAt: time,
  reason: z.string(),
  /** Grows each time an image is condemned anew. */
  epoch: int,
  removedAt: time.optional(),
  bytesFreed: int.optional(),
});

export const usedBy = z.object({
  forUid,
  count: int,
  /** The first 20, kuik v1's shape. */
  pods: z.array(z.object({ namespacedName: z.string() })).optional(),
  /** The first 20, workloads before pods. */
  holders: z.array(z.object({ kind: z.string(), name: z.string() })).optional(),
  /** Of an image that nobody is known to hold: the collections that could not be read. Their objects may hold it, so it stays. */
  unread: z.array(z.string()).optional(),
});

/** Fields with two or more owners, or merged by key, are lists with keys. */
export const condition = z.object({
  type: z.string().max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32_768),
  lastTransitionTime: time,
  observedGeneration: int.optional(),
});

/** What `kubectl get` prints; strings, because a date column prints `<invalid>` for a date to come. */
export const display = z.object({
  image: z.string(),
  upstream: z.string(),
  usedBy: z.string(),
  expires: z.string(),
  size: z.string(),
});

export const cachedImageSpec = z.object({
  sourceImage: z
    .string()
    .min(1)
    .max(1024)
    .describe('The image, as in a pod: canonical form host/path[:tag][@digest] when kuik writes it. Immutable.'),
  retain: z.boolean().optional().describe('Never expire.'),
  expiresAt: time.optional().describe('Expire at this time unless the image is used; wins over the computed date.'),
  pin: z.string().max(160).optional().describe('Serve this digest, whatever the tag says.'),
});

export const cachedImageStatus = z.object({
  usedBy: usedBy.optional(),
  /** Computed: when an unused image expires. */
  expiresAt: time.optional(),
  pullSecrets: z.array(z.object({ namespace: z.string(), name: z.string() })).optional(),
  lastPulled: time.optional(),
  unusedSince: time.optional(),
  /** Upstream is asked about the tag when it is pulled; absent: never. */
  check: z
    .object({
      mode: z.enum(['Always', 'Interval']),
      /** For `Interval`: not more often than this. */
      interval: z.string().optional(),
      why: z.string(),
    })
    .optional(),
  cache: cacheStanza.optional(),
  upstream: upstreamStanza.optional(),
  removal: removalStanza.optional(),
  phase: z.enum(PHASES).optional(),
  conditions: z.array(condition).optional(),
  display: display.optional(),
  // kuik v1's flat view, derived.
  isCached: z.boolean().optional(),
  digest: z.string().optional().describe('Hex of the cached digest, as in kuik v1.'),
  upstreamDigest: z.string().optional().describe('Hex of the digest last seen upstream, as in kuik v1.'),
  upToDate: z.boolean().optional(),
  availableUpstream: z.boolean().optional(),
  lastSync: time.optional(),
  lastSuccessfulPull: time.optional(),
  lastSeenUpstream: time.optional(),
});

export const repositorySpec = z.object({
  name: z.string().min(1).max(512).describe('The repository: host/path. Immutable.'),
  pullSecretNames: z
    .array(z.string().max(253))
    .max(256)
    .optional()
    .describe(
      'Pull secrets in pullSecretsNamespace (ignored without one, which condition PullSecrets tells) that are tried beside those of pods. What they open is served to every pod of the cluster.',
    ),
  pullSecretsNamespace: z.string().max(63).optional().describe('Where the secrets of pullSecretNames are.'),
  updateInterval: z.string().max(32).optional().describe('Check upstream this often: 1h, 30m, 7d.'),
  updateFilters: z
    .array(z.string().min(1).max(512))
    .max(64)
    .optional()
    .describe('RE2 patterns on the image; empty means all.'),
  checkOnPull: z
    .enum(CHECK_MODES)
    .optional()
    .describe(
      'Ask upstream at a pull whether a tag has moved: Always, Interval (not more often than checkInterval) or Never. Absent: Interval where there is a checkInterval, else as the pull policies of the pods that use it say.',
    ),
  checkInterval: z.string().max(32).optional().describe('For checkOnPull Interval: 10m, 1h.'),
});

export const repositoryStatus = z.object({
  images: int.optional(),
  phase: z.string().optional(),
  lastUpdate: time.optional(),
  pullSecrets: z.array(z.object({ namespace: z.string(), name: z.string() })).optional(),
  conditions: z.array(condition).optional(),
});

export type StanzaError = z.infer<typeof stanzaError>;
export type CacheStanza = z.infer<typeof cacheStanza>;
export type UpstreamStanza = z.infer<typeof upstreamStanza>;
export type RemovalStanza = z.infer<typeof removalStanza>;
export type UsedBy = z.infer<typeof usedBy>;
export type Condition = z.infer<typeof condition>;
export type CachedImageSpec = z.infer<typeof cachedImageSpec>;
export type CachedImageStatus = z.infer<typeof cachedImageStatus>;
export type RepositorySpec = z.infer<typeof repositorySpec>;
export type RepositoryStatus = z.infer<typeof repositoryStatus>;

/** What the API server keeps of every object, as far as anybody here looks at it. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
}

/** `CachedImage` (short `ci`): one image reference that kuik keeps. */
export interface CachedImage {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec: CachedImageSpec;
  status?: CachedImageStatus;
}

/** `Repository` (short `repo`): what holds for all images of one repository. */
export interface Repository {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec: RepositorySpec;
  status?: RepositoryStatus;
}
