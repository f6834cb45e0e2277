import type { CachedImage, CachedImageSpec, CachedImageStatus } from '@kuik/contracts';

export const NOW = Date.parse('2026-11-20T12:00:00Z');
export const DIGEST = `sha256:${'a'.repeat(64)}`;
/** RFC 3339 of a moment `minutes` after NOW. */
export const at = (minutes: number): string => new Date(NOW + minutes * 60_000).toISOString();

export interface ImageChange {
  readonly name?: string;
  readonly uid?: string;
  readonly spec?: Partial<CachedImageSpec>;
  readonly status?: CachedImageStatus;
  readonly deleting?: boolean;
}

/** An image that was copied some days ago, for tests; `change` bends it. */
export function imageOf({ name = 'app', uid = `uid-${name}`, spec, status, deleting }: ImageChange = {}): CachedImage {
  return {
    apiVersion: 'kuik.enix.io/v1alpha1',
    kind: 'CachedImage',
    metadata: {
      name,
      uid,
      resourceVersion: '1',
      ...(deleting === true ? { deletionTimestamp: at(-1), finalizers: ['x/y'] } : {}),
    },
    spec: { sourceImage: `registry.example.test/${name}:1`, ...spec },
    status: { cache: { forUid: uid, digest: DIGEST, copiedAt: at(-10_000) }, ...status },
  };
}
