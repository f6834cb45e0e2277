import { isDeepStrictEqual } from 'node:util';
import type { CachedImage, CopyJob } from '@kuik/contracts';
import type { Job } from '@kuik/queue';
import type { CopyTarget } from './decide.ts';

/**
 * The object of a job that says all of it (`CopyJob.fresh`): a copy may begin without reading it, and its first write stands on that
 * version. Undefined when it has to be read. Who takes a job over reads: what another worker wrote is not in the job.
 */
export function unreadImage({
  payload,
  takenOver,
}: Pick<Job<CopyJob>, 'payload' | 'takenOver'>): CachedImage | undefined {
  const { fresh, name, uid, reference } = payload;
  if (fresh === undefined || takenOver) return undefined;
  return { metadata: { name, uid, resourceVersion: fresh }, spec: { sourceImage: reference }, status: {} };
}

/** The same job for somebody who reads the object. */
export function toBeRead(job: Job<CopyJob>): Job<CopyJob> {
  const { fresh: _old, ...payload } = job.payload;
  return { ...job, payload };
}

/** Whether a copy that was made for one target is all that the other one asks for; `begun` only says how to go about it. */
export function sameTarget({ begun: _one, ...one }: CopyTarget, { begun: _other, ...other }: CopyTarget): boolean {
  return isDeepStrictEqual(one, other);
}
