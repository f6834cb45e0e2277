import { createHash } from 'node:crypto';

/** Whose right a record of bucket `kuik_access` is about, beside service accounts (`namespace/name`). */
export const ANYONE = 'anyone';
export const CLUSTER = 'cluster';

/** The key of what upstream said of a repository (`host/path`) and of somebody's right there: names hold what keys of a bucket may not. */
export function accessRecordKey(repository: string, whose: string): string {
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  return `${hash(repository).slice(0, 16)}.${hash(whose).slice(0, 32)}`;
}

/** Until when a confirmation counts that counts for so long (epoch ms); one that was taken back counts no more: `-Infinity`. */
export function provenUntil(
  { proven, refused }: { readonly proven?: number | undefined; readonly refused?: number | undefined },
  forMs: number,
): number {
  return proven === undefined || (refused !== undefined && refused >= proven) ? -Infinity : proven + forMs;
}
