import type { Resource, TokenReviewResult } from './port.ts';

export const TOKEN_REVIEWS: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};

const NODE_NAME = 'authentication.kubernetes.io/node-name';
const POD_NAME = 'authentication.kubernetes.io/pod-name';

/** https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/ */
export interface TokenReviewStatus {
  authenticated?: boolean;
  audiences?: string[];
  error?: string;
  user?: { username?: string; extra?: Record<string, string[]> };
}

export function tokenReviewBody(token: string, audiences: string[]): object {
  return { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } };
}

/** What a review says; a token that is good for none of the audiences is not authenticated. */
export function tokenReviewResult(status: TokenReviewStatus | undefined): TokenReviewResult {
  const { authenticated = false, audiences, error, user } = status ?? {};
  const nodeName = user?.extra?.[NODE_NAME]?.[0];
  const podName = user?.extra?.[POD_NAME]?.[0];
  return {
    authenticated,
    ...(user?.username === undefined ? {} : { username: user.username }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(podName === undefined ? {} : { podName }),
    ...(audiences === undefined ? {} : { audiences }),
    ...(error === undefined || error === '' ? {} : { error }),
  };
}
