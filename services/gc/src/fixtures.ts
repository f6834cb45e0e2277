import {
  FINALIZER,
  REPOSITORY_LABEL,
  type CachedImage,
  type CachedImageSpec,
  type CachedImageStatus,
} from '@kuik/contracts';
import { repositoryLabel, tryParseReference } from '@kuik/image';

export const NOW = Date.parse('2026-11-20T12:00:00Z');
export const GRACE_MS = 300_000;
export const UNREAD_MS = 3_600_000;
export const DIGEST = `sha256:${'a'.repeat(64)}`;
/** RFC 3339 of a moment `minutes` after NOW. */
export const at = (minutes: number): string => new Date(NOW + minutes * 60_000).toISOString();

export interface ImageChange {
  readonly name?: string;
  readonly uid?: string;
  readonly spec?: Partial<CachedImageSpec>;
  readonly status?: CachedImageStatus;
  readonly deleting?: boolean;
  readonly finalizers?: string[];
}

/** A cached image that nobody uses and whose computed expiry has passed, for tests; `change` bends it. */
export function imageOf(change: ImageChange = {}): CachedImage {
  const { name = 'nginx', uid = `uid-${name}` } = change;
  const sourceImage = change.spec?.sourceImage ?? `docker.io/library/${name}:1`;
  const reference = tryParseReference(sourceImage);
  return {
    apiVersion: 'kuik.enix.io/v1alpha1',
    kind: 'CachedImage',
    metadata: {
      name,
      uid,
      resourceVersion: '1',
      ...(reference === undefined ? {} : { labels: { [REPOSITORY_LABEL]: repositoryLabel(reference) } }),
      finalizers: change.finalizers ?? [FINALIZER],
      ...(change.deleting === true ? { deletionTimestamp: at(-1) } : {}),
    },
    spec: { ...change.spec, sourceImage },
    status: {
      usedBy: { forUid: uid, count: 0 },
      expiresAt: at(-10),
      cache: { forUid: uid, digest: DIGEST, bytes: 1000, copiedAt: at(-1000) },
      ...change.status,
    },
  };
}

/** gc's stanza, condemned `minutesAgo`. */
export function condemned(minutesAgo: number, change: object = {}, uid = 'uid-nginx') {
  return { forUid: uid, condemnedAt: at(-minutesAgo), reason: 'Unused', epoch: 7, ...change };
}
