import { createHash } from 'node:crypto';
import type { KubeClient } from '@kuik/kube';
import { BriefMemory } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { type Requester, requesterOf, type RequesterRules } from './requester.ts';

export interface TokenReviewsParts {
  readonly kube: Pick<KubeClient, 'tokenReview'>;
  readonly view: ClusterView;
  readonly rules: RequesterRules;
  /** How long a review's word is believed, ms. */
  readonly reviewTtlMs: number;
  readonly now: () => number;
}

const REVIEWS_KEPT = 5_000;
const REFUSED_TTL_MS = 5_000;

/** Who asks: by the API server's word on a token, believed for minutes, refusals for seconds. Of tokens only hashes are kept. */
export class TokenReviews {
  readonly #parts: TokenReviewsParts;
  readonly #reviews: BriefMemory<Requester>;

  constructor(parts: TokenReviewsParts) {
    this.#parts = parts;
    this.#reviews = new BriefMemory({ forMs: parts.reviewTtlMs, entries: REVIEWS_KEPT, now: parts.now });
  }

  /** Throws KubeError when the API server is away. */
  requester(token: string): Promise<Requester> {
    const { kube, rules, view, now, reviewTtlMs } = this.#parts;
    const work = async (): Promise<Requester> =>
      requesterOf(
        await kube.tokenReview(token, [rules.audience]),
        rules,
        (namespace, pod) => view.usage.pod(namespace, pod)?.pod.node,
      );
    const key = createHash('sha256').update(token).digest('base64');
    const until = ({ kind }: Requester): number => now() + (kind === 'nobody' ? REFUSED_TTL_MS : reviewTtlMs);
    return this.#reviews.get(key, work, { until });
  }
}
