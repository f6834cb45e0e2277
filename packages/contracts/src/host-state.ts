import { createHash } from 'node:crypto';
import { z } from 'zod';
import { account } from './sealed-credential.ts';
import type { RequestSubject, StateBucket, Subject } from './wire.ts';

const host = z.string().min(1).max(255);
const count = z.number().int().nonnegative();

/** What nodes need to know of a registry host: whether anybody may ask it, and what it says is left of its quota. */
export const hostState = z.object({
  host,
  /** Nobody asks it without a credential before, RFC 3339. */
  parkedUntil: z.string().optional(),
  why: z.string().max(128).optional(),
  /** Of the identity with the least share left. */
  limit: count.optional(),
  remaining: count.optional(),
  /** When all that was spent is back at the latest, RFC 3339. */
  resetAt: z.string().optional(),
});
export type HostState = z.infer<typeof hostState>;

export const HOST_STATE: StateBucket<HostState> = {
  kind: 'bucket',
  bucket: 'kuik_host_state',
  schema: hostState,
  maxValueBytes: 2 * 1024,
  bucketMaxBytes: 4 * 1024 * 1024,
};

/** A host's key in the bucket: a name may hold what keys may not. */
export function hostStateKey(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

/** What a node met upstream since it told last: pulls wait for nobody, but count. A lost one costs a guess. */
export const upstreamTold = z.object({
  node: z.string().max(253),
  hosts: z
    .array(
      z.object({
        host,
        account,
        /** Manifests that were asked for by GET. */
        requests: count,
        quotas: z
          .array(
            z.object({
              identity: z.string().min(1).max(64),
              limit: count.optional(),
              remaining: count.optional(),
              windowSeconds: count.optional(),
            }),
          )
          .max(4),
        /** It answered 429, the last time with this Retry-After or none. */
        limited: z.object({ retryAfterMs: count.optional() }).optional(),
      }),
    )
    .max(64),
});
export type UpstreamTold = z.infer<typeof upstreamTold>;

export const UPSTREAM_TOLD: Subject<UpstreamTold> = {
  kind: 'core',
  subject: 'kuik.upstream.told',
  schema: upstreamTold,
  maxBytes: 128 * 1024,
};

/** Larger manifests are read by each who wants them. */
export const SHARED_MANIFEST_MAX_BYTES = 512 * 1024;

/**
 * Of a registry that counts GETs of manifests a node asks a copier for one, by digest: it is read once for everybody. The copier proves that the
 * repository shows it to strangers; nothing else is given out.
 */
export const manifestReadRequest = z.object({
  host,
  repository: z.string().min(1).max(255),
  digest: z.string().min(1).max(160),
});
export const manifestReadReply = z.union([
  z.object({ mediaType: z.string().max(255), bytes: z.string() }),
  /** The registry's refusal, by the code of the registry client; it need not be asked again. */
  z.object({
    refused: z.object({ code: z.string().max(64), message: z.string().max(2048), retryAfterMs: count.optional() }),
  }),
  z.object({ readYourself: z.literal(true) }),
]);
export type ManifestReadRequest = z.infer<typeof manifestReadRequest>;
export type ManifestReadReply = z.infer<typeof manifestReadReply>;

export const MANIFEST_READ: RequestSubject<ManifestReadRequest, ManifestReadReply> = {
  kind: 'request',
  subject: 'kuik.manifests.read',
  request: manifestReadRequest,
  reply: manifestReadReply,
  maxBytes: 900 * 1024,
};
