import { z } from 'zod';
import { DAMAGED_MAX } from './resources.ts';
import { HOST_STATE, MANIFEST_READ, UPSTREAM_TOLD } from './host-state.ts';
import { triedSecrets } from './sealed-credential.ts';
import type { DurableStream, RequestSubject, StateBucket, Subject } from './wire.ts';

const reference = z.string().min(1).max(1024);
/** Longer ids are left out of what nodes are told. */
export const REQUEST_ID_MAX = 128;
const MiB = 1024 * 1024;

/** What one hint may hold; the publisher leaves the rest to the pod list. */
export const IMAGE_USED_LIMITS = { images: 256, pullSecrets: 64 } as const;

/**
 * Hint of the webhook: this pod will use these images, if nobody refuses it yet. It keeps gc off what is there, and names the request that a
 * copy follows; it creates nothing, and a lost one costs nothing.
 */
export const imageUsed = z.object({
  namespace: z.string(),
  /** Absent while the API server has not generated the name yet. */
  pod: z.string().optional(),
  serviceAccount: z.string().optional(),
  pullSecrets: z.array(z.string()).max(IMAGE_USED_LIMITS.pullSecrets),
  /** Canonical references of the images that go through the cache. */
  images: z.array(reference).max(IMAGE_USED_LIMITS.images),
  requestId: z.string(),
});
export type ImageUsed = z.infer<typeof imageUsed>;

export const IMAGE_USED: Subject<ImageUsed> = {
  kind: 'core',
  subject: 'kuik.image.used',
  schema: imageUsed,
  maxBytes: 64 * 1024,
};

/** A copier that gives away what it reads from upstream (docs/transfers.md): told again and again while it lives. */
export const transferOwner = z.object({
  /** Where it is reached, `http://10.0.0.7:7440`. */
  url: z.string().min(1).max(300),
  /** Which process answers there: another one after a restart. */
  instance: z.string().max(100).optional(),
  /** Its last word. */
  leaving: z.boolean().optional(),
});
export type TransferOwner = z.infer<typeof transferOwner>;

export const TRANSFER_OWNERS: Subject<TransferOwner> = {
  kind: 'core',
  subject: 'kuik.transfer.owners',
  schema: transferOwner,
  maxBytes: 1024,
};

/** One manifest that is not in the cache, or not whole there, as far as a node could see. */
const missingContent = z.object({
  /** Canonical repository, `docker.io/library/nginx`. */
  repository: z.string().min(1).max(512),
  digest: z.string().min(1).max(160),
  /** When it was last missed, RFC 3339. */
  at: z.string(),
  /** What the cache holds of the repository with bytes that are not what their digest says. */
  wrong: z.array(z.string().min(1).max(160)).max(DAMAGED_MAX).optional(),
});
export type MissingContent = z.infer<typeof missingContent>;

/** What a node proxy served in the last minute, per image; becomes events and `status.lastPulled`. */
export const imageServed = z.object({
  node: z.string(),
  /** Start of the window, RFC 3339. */
  since: z.string(),
  images: z
    .array(
      z.object({
        reference,
        pulls: z.number().int().nonnegative(),
        /** Pulls answered by the cache because upstream could not. */
        stale: z.number().int().nonnegative(),
        lastPulled: z.string(),
      }),
    )
    .max(1000),
  /** Content that the cache registry did not have when it was asked: manifests, and those that hang on them or list them. */
  missing: z.array(missingContent).max(200).optional(),
});
export type ImageServed = z.infer<typeof imageServed>;

export const IMAGE_SERVED: DurableStream<ImageServed> = {
  kind: 'durable',
  stream: 'KUIK_SERVED',
  subject: 'kuik.image.served',
  deadLetters: 'kuik.dead.served',
  schema: imageServed,
  maxBytes: 512 * 1024,
  maxAgeMs: 6 * 3_600_000,
  streamMaxBytes: 64 * MiB,
  // A report of each minute: some of them may fail.
  dedupMs: 600_000,
  ackWaitMs: 30_000,
  maxDeliver: 5,
};

/**
 * Hint of a node proxy: a tag that was pulled names another digest upstream than the one that is cached. A lost one costs nothing: the next
 * pull tells again.
 */
export const tagMoved = z.object({
  node: z.string(),
  reference,
  /** What upstream names now. */
  digest: z.string().min(1).max(160),
});
export type TagMoved = z.infer<typeof tagMoved>;

export const TAG_MOVED: Subject<TagMoved> = {
  kind: 'core',
  subject: 'kuik.tag.moved',
  schema: tagMoved,
  maxBytes: 4 * 1024,
};

/** gc asks: does anybody hold these images? Answered only by a leader whose every watch is synced. */
export const holdersConfirmRequest = z.object({
  images: z
    .array(z.object({ uid: z.string(), reference }))
    .min(1)
    .max(100),
});
export const holdersConfirmReply = z.object({
  /** One verdict per asked image, same order. `unknown` never lets anything go. */
  images: z.array(
    z.object({ uid: z.string(), verdict: z.enum(['held', 'free', 'unknown']), holder: z.string().optional() }),
  ),
});
export type HoldersConfirmRequest = z.infer<typeof holdersConfirmRequest>;
export type HoldersConfirmReply = z.infer<typeof holdersConfirmReply>;

export const HOLDERS_CONFIRM: RequestSubject<HoldersConfirmRequest, HoldersConfirmReply> = {
  kind: 'request',
  subject: 'kuik.holders.confirm',
  request: holdersConfirmRequest,
  reply: holdersConfirmReply,
  maxBytes: 256 * 1024,
};

/** Asks the broker for a pull credential for one upstream repository. The reply is sealed to `publicKey`. */
export const credentialRequest = z.object({
  /** Canonical registry host, `docker.io`. */
  host: z.string().min(1).max(255),
  repository: z.string().min(1).max(255),
  /** The caller's projected ServiceAccount token, audience `kuik-broker`. Never logged. */
  token: z.string().min(1).max(16_384),
  /** X25519 public key, SPKI DER, base64. */
  publicKey: z.string().min(1).max(256),
  /** A credential handed out before did not work: do not answer from a cache. */
  renew: z.boolean().optional(),
  /** A pull waits for it. Who asks from a node need not say so. */
  pull: z.boolean().optional(),
  requestId: z.string().max(128).optional(),
});
/** `error` is a KUIK code and a message without secrets; `sealed` opens to a BrokeredCredential. */
export const credentialReply = z.union([
  z.object({ sealed: z.string() }),
  z.object({
    error: z.object({ code: z.string(), message: z.string(), retry: z.boolean(), tried: triedSecrets }),
  }),
]);
export type CredentialRequest = z.infer<typeof credentialRequest>;
export type CredentialReply = z.infer<typeof credentialReply>;

export const CREDENTIALS: RequestSubject<CredentialRequest, CredentialReply> = {
  kind: 'request',
  subject: 'kuik.credentials.request',
  request: credentialRequest,
  reply: credentialReply,
  maxBytes: 32 * 1024,
};

/** Asks the broker whether somebody may pull from a repository, or whether its host is anybody's. */
export const accessVerdictRequest = z.object({
  host: z.string().min(1).max(255),
  repository: z.string().min(1).max(255),
  /** The caller's projected ServiceAccount token, audience `kuik-broker`. Never logged. */
  token: z.string().min(1).max(16_384),
  /**
   * `anyone`: who shows nothing. `node`: every service account whose pods use it on the caller's node. `host`: nobody; it is asked whether anything
   * of the host is used at all.
   */
  who: z.union([
    z.enum(['anyone', 'node', 'host']),
    z.object({ namespace: z.string().min(1).max(253), serviceAccount: z.string().min(1).max(253) }),
  ]),
  requestId: z.string().max(128).optional(),
});
export const accessVerdictReply = z.object({
  /** `unknown`: upstream could not be asked, and nothing that it said before counts any more. */
  verdict: z.enum(['allowed', 'denied', 'unknown']),
  reason: z.string(),
  /** It holds for anyone. */
  public: z.boolean(),
  /** Epoch ms until which it may be used without asking again. */
  until: z.number(),
  /** Of whom it speaks, when that was asked for by `node`: `namespace/service account`. */
  of: z.string().optional(),
});
export type AccessVerdictRequest = z.infer<typeof accessVerdictRequest>;
export type AccessVerdict = z.infer<typeof accessVerdictReply>;

export const ACCESS_VERDICT: RequestSubject<AccessVerdictRequest, AccessVerdict> = {
  kind: 'request',
  subject: 'kuik.access.verdict',
  request: accessVerdictRequest,
  reply: accessVerdictReply,
  maxBytes: 32 * 1024,
};

/** What upstream said of one repository, of a service account's credentials or of all (anonymous, or a credential for the cluster). Epoch ms. */
export const accessRecord = z.object({
  repository: z.string(),
  of: z.string(),
  proven: z.number().optional(),
  refused: z.number().optional(),
});
export type AccessRecord = z.infer<typeof accessRecord>;

/**
 * The replicas of pod-watcher share it, and it outlives them; proxies look into it while no replica answers. Who may pull what is for nobody to
 * list: a node finds what its own requests name.
 */
export const ACCESS_RECORDS: StateBucket<AccessRecord> = {
  kind: 'bucket',
  bucket: 'kuik_access',
  schema: accessRecord,
  maxValueBytes: 2 * 1024,
  bucketMaxBytes: 32 * MiB,
  lookedUp: true,
};

/** What a node needs to know of one cached image, projected from its resource (see `project`). */
export const imageState = z.object({
  reference,
  uid: z.string(),
  /** resourceVersion of the projected object: writers never go back within one uid. */
  resourceVersion: z.string(),
  /** What the cache holds under this reference's cache tag. */
  digest: z.string().optional(),
  mediaType: z.string().optional(),
  cacheTag: z.string().optional(),
  /** Bytes are on their way out: ask upstream first. */
  condemned: z.boolean().optional(),
  /** Digest to serve whatever the tag says (`spec.pin`). */
  pin: z.string().optional(),
  /** Whether upstream could be read without a credential when last seen. */
  public: z.boolean().optional(),
  /** Upstream is asked about the tag when it is pulled; `everyMs`: not more often. Absent: never. */
  check: z.object({ everyMs: z.number().int().nonnegative() }).optional(),
  /** The admission that the resource was made for: joins a pull with its log. */
  requestId: z.string().max(REQUEST_ID_MAX).optional(),
});
export type ImageState = z.infer<typeof imageState>;

export const IMAGE_STATE: StateBucket<ImageState> = {
  kind: 'bucket',
  bucket: 'kuik_image_state',
  schema: imageState,
  maxValueBytes: 8 * 1024,
  bucketMaxBytes: 256 * MiB,
};

export const CORE_SUBJECTS = [IMAGE_USED, TAG_MOVED, TRANSFER_OWNERS, UPSTREAM_TOLD] as const;
export const REQUEST_SUBJECTS = [HOLDERS_CONFIRM, CREDENTIALS, ACCESS_VERDICT, MANIFEST_READ] as const;
export const DURABLE_STREAMS = [IMAGE_SERVED] as const;
export const STATE_BUCKETS = [IMAGE_STATE, ACCESS_RECORDS, HOST_STATE] as const;
