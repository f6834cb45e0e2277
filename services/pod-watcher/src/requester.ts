import type { TokenReviewResult } from '@kuik/kube';

/** ServiceAccounts (`namespace/name`) that may ask for credentials. */
export interface RequesterRules {
  readonly audience: string;
  /** Node proxies: only what pods of their own node use. */
  readonly nodeProxies: readonly string[];
  /** image-copier, monitor: whatever a CachedImage names. */
  readonly services: readonly string[];
  /** Of these the one that checks upstream: monitor. */
  readonly monitor?: string;
}

/** Who asks, and what that allows. */
export type Requester =
  | { readonly kind: 'node'; readonly name: string; readonly node: string }
  | { readonly kind: 'service'; readonly name: string; readonly checks?: true }
  | { readonly kind: 'nobody'; readonly why: string };

/**
 * Reads a TokenReview, in this order: not authenticated; not for our audience; not a ServiceAccount; one of our services; a node
 * proxy whose node is known, from the token (bound to its pod) or from the pod itself (`nodeOfPod`); nobody.
 */
export function requesterOf(
  review: TokenReviewResult,
  rules: RequesterRules,
  nodeOfPod: (namespace: string, pod: string) => string | undefined,
): Requester {
  const nobody = (why: string): Requester => ({ kind: 'nobody', why });
  if (!review.authenticated) return nobody('the token is not valid');
  if (!(review.audiences ?? []).includes(rules.audience))
    return nobody(`the token is not for audience ${rules.audience}`);
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(review.username ?? '');
  if (account === null) return nobody('the token belongs to no service account');
  const [, namespace, serviceAccount] = account as unknown as [string, string, string];
  const name = `${namespace}/${serviceAccount}`;
  if (rules.services.includes(name)) {
    return { kind: 'service', name, ...(name === rules.monitor && { checks: true }) };
  }
  if (!rules.nodeProxies.includes(name)) return nobody(`service account ${name} may not ask for credentials`);
  const node = review.nodeName ?? (review.podName === undefined ? undefined : nodeOfPod(namespace, review.podName));
  if (node === undefined) return nobody(`the token of ${name} is bound to no pod on a node`);
  return { kind: 'node', name, node };
}
