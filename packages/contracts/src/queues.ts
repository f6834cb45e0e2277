import { z } from 'zod';
import { DEFAULTS } from './defaults.ts';
import type { JobQueue } from './wire.ts';

/** One intent: bring the image of this CachedImage into the cache. No secrets: the worker asks the broker. */
export const copyJob = z.object({
  /** The CachedImage's object name (a DNS subdomain: it becomes part of a URL) and uid. */
  name: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/),
  uid: z.string(),
  /** Canonical reference (`spec.sourceImage`). */
  reference: z.string(),
  host: z.string(),
  /** Why, a reason constant of `nextStep`. */
  reason: z.string(),
  /** A node did not find in the cache what the resource says is there: look at every manifest and blob, fetch what is missing. */
  verify: z.boolean().optional(),
  /** Platforms to copy of an index, as `wantsPlatform` reads them; absent: all. */
  platforms: z.array(z.string()).optional(),
  /** Manifests that nodes pulled through, whatever platform they are of: kept as well when the image's index lists them. */
  pulled: z.array(z.string()).optional(),
  /** What nodes got from the cache with other bytes than its digest says, at most 20: looked at first. */
  wrong: z.array(z.string()).optional(),
  /**
   * The object's resourceVersion, when nothing of it matters but its reference: nobody copied, pinned or wished for it, gc has nothing to
   * do with it. Who works on the job need not read the object, when the first write stands on this version.
   */
  fresh: z.string().optional(),
  /** Follows the image from admission to the first byte. */
  requestId: z.string().optional(),
});
export type CopyJob = z.infer<typeof copyJob>;

export const COPY_QUEUE: JobQueue<CopyJob> = {
  kind: 'queue',
  queue: 'copy',
  prefix: 'kuik',
  schema: copyJob,
  dedupId: (job) => job.uid,
  paceKey: (job) => job.host,
  lockMs: DEFAULTS.copy.lockMs,
  stallCheckMs: DEFAULTS.copy.stallCheckMs,
};

export const QUEUES = [COPY_QUEUE] as const;
