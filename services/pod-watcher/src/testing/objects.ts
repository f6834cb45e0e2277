import type { CachedImage, CacheStanza, RemovalStanza, Repository, UpstreamStanza } from '@kuik/contracts';
import { Decider, rulesFile, type WrittenRules } from '@kuik/rules';
import type { PodObject, PodView } from '../pod-view.ts';

/** A valid world of one image, to bend one field of. */
export const UID = 'uid-1';
export const IMAGE = 'registry.example.test/shop:1.0';
export const NOW = Date.parse('2026-11-01T12:00:00.000Z');
export const DIGEST = `sha256:${'a'.repeat(64)}`;
export const OTHER_DIGEST = `sha256:${'b'.repeat(64)}`;

export const MINUTE = 60_000;
export const DAY = 86_400_000;

/** RFC 3339, relative to NOW in ms. */
export function at(ms: number): string {
  return new Date(NOW + ms).toISOString();
}

export function cachedImage(
  change: {
    metadata?: Partial<CachedImage['metadata']>;
    spec?: Partial<CachedImage['spec']>;
    status?: CachedImage['status'];
  } = {},
): CachedImage {
  return {
    metadata: { name: 'shop', uid: UID, resourceVersion: '10', creationTimestamp: at(-DAY), ...change.metadata },
    spec: { sourceImage: IMAGE, ...change.spec },
    ...(change.status === undefined ? {} : { status: change.status }),
  };
}

export function cacheStanza(change: Partial<CacheStanza> = {}): CacheStanza {
  return { forUid: UID, digest: DIGEST, tag: '1.0', bytes: 68 * 1024 * 1024, copiedAt: at(-MINUTE), ...change };
}

/** A copy that never worked. */
export function failedCopy(change: Partial<NonNullable<CacheStanza['error']>> = {}): CacheStanza {
  return {
    forUid: UID,
    error: { code: 'KUIK-REG-502', message: 'cannot copy', at: at(-MINUTE), attempts: 1, ...change },
  };
}

export function upstreamStanza(change: Partial<UpstreamStanza> = {}): UpstreamStanza {
  return { forUid: UID, state: 'Available', digest: DIGEST, lastSeen: at(0), ...change };
}

export function removalStanza(change: Partial<RemovalStanza> = {}): RemovalStanza {
  return { forUid: UID, condemnedAt: at(-MINUTE), reason: 'Expired', epoch: 1, ...change };
}

export function repository(
  change: { metadata?: Partial<Repository['metadata']>; spec?: Partial<Repository['spec']> } = {},
): Repository {
  return {
    metadata: { name: 'shop-repo', uid: 'repo-1', resourceVersion: '5', ...change.metadata },
    spec: { name: 'registry.example.test/shop', ...change.spec },
  };
}

/** The rules' defaults, with what is changed. */
export function deciderOf(change: WrittenRules = {}, proxyPrefixes = ['localhost:7439']): Decider {
  const ownNamespaces = ['kube-system', 'kuik-system'];
  return new Decider(rulesFile.parse(change), { ownNamespaces, proxyPrefixes });
}

export function podView(change: Partial<PodView> = {}): PodView {
  return {
    source: 'pods',
    kind: 'Pod',
    namespace: 'default',
    name: 'web',
    uid: 'pod-1',
    node: 'node-1',
    phase: 'Running',
    deleting: false,
    images: [{ key: 'c:app', image: IMAGE }],
    originals: {},
    facts: { labels: undefined, annotations: undefined, priorityClassName: undefined },
    pullSecrets: [],
    serviceAccount: 'default',
    ...change,
  };
}

export function podObject(
  name: string,
  images: readonly string[],
  change: { metadata?: object; spec?: object; status?: PodObject['status'] } = {},
): Omit<PodObject, 'metadata'> & { metadata: { name: string; namespace: string } } {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...change.metadata },
    spec: {
      nodeName: 'node-1',
      containers: images.map((image, index) => ({ name: `c${index}`, image })),
      ...change.spec,
    },
    status: change.status ?? { phase: 'Running' },
  };
}
