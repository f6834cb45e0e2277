import { isDeepStrictEqual } from 'node:util';
import type { CachedImage, CopyJob } from '@kuik/contracts';
import type { Job } from '@kuik/queue';
import type { CopyTarget } from './decide.ts';

/** After a call in vain objects are read first for so long. */
const READ_FIRST_MS = 60_000;

/** The objects of jobs that say all of them (`CopyJob.fresh`): a copy may begin without reading its one, and its first write stands on that version. */
export class UnreadImages {
  #readUntilMs = -Infinity;

  /**
   * Undefined when the object has to be read: by who takes a job over, for what another worker wrote is not in the job; and after the API
   * server could not be reached, so that what cannot be recorded is not copied again and again. `now`: monotonic ms.
   */
  of({ payload, takenOver }: Pick<Job<CopyJob>, 'payload' | 'takenOver'>, now: number): CachedImage | undefined {
    const { fresh, name, uid, reference } = payload;
    if (fresh === undefined || takenOver || now < this.#readUntilMs) return undefined;
    return { metadata: { name, uid, resourceVersion: fresh }, spec: { sourceImage: reference }, status: {} };
  }

  /** The API server did not answer. */
  failed(now: number): void {
    this.#readUntilMs = now + READ_FIRST_MS;
  }
}

/** The same job for somebody who reads the object. */
export function toBeRead(job: Job<CopyJob>): Job<CopyJob> {
  const { fresh: _old, ...payload } = job.payload;
  return { ...job, payload };
}

/** Whether a copy that was made for one target is all that the other one asks for. */
export function sameTarget(one: CopyTarget, other: CopyTarget): boolean {
  return isDeepStrictEqual(askedOf(one), askedOf(other));
}

/** `begun` and `described` only say how to go about it. */
function askedOf({ begun: _begun, described: _described, ...asked }: CopyTarget): object {
  return asked;
}
