import { formatReference, subjectOfTag } from '@kuik/image';
import type { CacheAccess } from './cache-access.ts';
import type { FoundManifest } from './find-manifest.ts';
import { noticeUnkept } from './list-referrers.ts';
import type { Asked } from './pull-path.ts';
import type { PullRecord } from './pull-record.ts';
import type { ServedTally } from './served-report.ts';

type AskedManifest = Asked<'manifest'>;

export interface ServedManifestOptions {
  readonly cache: CacheAccess;
  readonly served: ServedTally;
  /** Epoch ms. */
  readonly wall: () => number;
}

/** Notes in the record which manifest was found, and counts it as served. */
export function servedManifest(
  { cache, served, wall }: ServedManifestOptions,
  pull: AskedManifest,
  found: FoundManifest,
  record: PullRecord,
): void {
  record.reference = referenceOf(pull);
  record.origin = found.fromMemory ? 'memory' : found.from;
  record.reason = found.step.reason;
  record.stale = found.step.stale === true;
  record.digest = found.digest;
  record.image = formatReference({ ...found.step.repository, ...pull.reference });
  if (found.admission !== undefined) record.admission = found.admission;
  // A HEAD of a digest only looks; a tag is the beginning of a pull however it is asked for.
  if (record.method !== 'HEAD' || 'tag' in pull.reference) served.add(record.image, record.stale, wall());
  if (record.method !== 'HEAD' && found.from === 'upstream' && 'tag' in pull.reference) {
    const subject = subjectOfTag(pull.reference.tag);
    if (subject !== undefined) noticeUnkept(cache, found.step.repository, subject);
  }
}

/** As it was asked for. */
export function referenceOf({ reference }: AskedManifest): string {
  return 'tag' in reference ? reference.tag : reference.digest;
}
