import { formatReference, fromProxyImage, isLoopbackHost, toProxyImage, tryParseReference } from '@kuik/image';
import type { Rules } from './rules.ts';

/** Why an image goes through the proxy, or stays as it was written. Stable: they reach logs and metrics unchanged. */
export const REASONS = {
  rewritten: 'Rewritten',
  alreadyRewritten: 'AlreadyRewritten',
  proxyImageUnreadable: 'ProxyImageUnreadable',
  notAReference: 'NotAReference',
  pullPolicyNever: 'PullPolicyNever',
  ignored: 'Ignored',
  notAccepted: 'NotAccepted',
  localRegistry: 'LocalRegistry',
  notEncodable: 'NotEncodable',
  namespaceIgnored: 'NamespaceIgnored',
  optedOut: 'OptedOut',
  mirrorPod: 'MirrorPod',
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** What becomes of one image of a pod. */
export interface Decision {
  readonly verdict: 'rewrite' | 'keep';
  readonly reason: Reason;
  /** The rule that decided: `default`, `ignoreImages[0]`, `proxyPrefixes`, ... */
  readonly rule: string;
  /** The image that the pod gets. */
  readonly image: string;
  /** Canonical reference, when the image goes through the proxy after this decision. */
  readonly reference?: string;
}

/**
 * Decides one image by its text and pull policy alone. The first rule that applies:
 * 1. it goes through the proxy already: kept; 2. it names the proxy but nothing readable behind it: kept;
 * 3. it is no reference: kept; 4. pull policy Never: kept; 5. an ignore pattern matches: kept; 6. there is an accept list and
 * nothing of it matches: kept; 7. its registry is the node's own (localhost): kept; 8. it cannot be written as a path of the
 * proxy: kept; 9. rewritten.
 */
export function decide(
  image: string,
  pullPolicy: string | undefined,
  rules: Rules,
  prefixes: readonly string[],
): Decision {
  const keep = (reason: Reason, rule: string): Decision => ({ verdict: 'keep', reason, rule, image });
  if (prefixes.some((prefix) => image.startsWith(`${prefix}/`))) {
    const [meant] = fromProxyImage(image, prefixes);
    if (meant === undefined) return keep(REASONS.proxyImageUnreadable, 'proxyPrefixes');
    return { ...keep(REASONS.alreadyRewritten, 'proxyPrefixes'), reference: formatReference(meant) };
  }
  const reference = tryParseReference(image);
  if (reference === undefined) return keep(REASONS.notAReference, 'grammar');
  if (pullPolicy === 'Never') return keep(REASONS.pullPolicyNever, 'imagePullPolicy');
  const canonical = formatReference(reference);
  const spellings = image === canonical ? [canonical] : [canonical, image];
  const ignoredBy = rules.ignored(spellings);
  if (ignoredBy !== undefined) return keep(REASONS.ignored, ignoredBy);
  const acceptedBy = rules.accepted(spellings);
  if (acceptedBy === undefined) return keep(REASONS.notAccepted, 'acceptImages');
  if (isLoopbackHost(reference.host)) return keep(REASONS.localRegistry, 'localhost');
  const rewritten = toProxyImage(reference, prefixes[0] ?? '');
  if (rewritten === undefined) return keep(REASONS.notEncodable, 'encoding');
  return { verdict: 'rewrite', reason: REASONS.rewritten, rule: acceptedBy, image: rewritten, reference: canonical };
}

/** What is known of a pod before its images are looked at. */
export interface PodScope {
  readonly namespace: string;
  /** Value of the opt-out label. */
  readonly cachingPolicy: string | undefined;
  /** A kubelet shows a static pod by this mirror: the API server refuses any change of it. */
  readonly mirror: boolean;
}

/** Why a whole pod is left alone, or undefined: 1. its namespace; 2. the opt-out label; 3. a mirror of a static pod. */
export function leavePodAlone(scope: PodScope, rules: Rules): { reason: Reason; rule: string } | undefined {
  const namespaceRule = rules.namespaceIgnored(scope.namespace);
  if (namespaceRule !== undefined) return { reason: REASONS.namespaceIgnored, rule: namespaceRule };
  if (scope.cachingPolicy === 'ignore') return { reason: REASONS.optedOut, rule: 'image-caching-policy' };
  if (scope.mirror) return { reason: REASONS.mirrorPod, rule: 'mirror' };
  return undefined;
}
