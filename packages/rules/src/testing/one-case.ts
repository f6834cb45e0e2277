import type { Reason, Verdict } from '../decision.ts';
import type { WrittenRules } from '../rules-file.ts';

/** What has to become of one image; `image` only where it changes. */
export interface ExpectedImage {
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly rule: string;
  readonly image?: string;
}

/** An entry of `ownerReferences`. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Rules as a person writes them, a pod as the API server sends it, and what becomes of each of its images, by their key (`c:app`). */
export interface RuleCase {
  readonly what: string;
  readonly rules: WrittenRules;
  readonly pod: {
    readonly metadata: {
      readonly name: string;
      readonly namespace: string;
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
      readonly ownerReferences?: readonly Owner[];
    };
    readonly spec: Readonly<Record<string, unknown>>;
  };
  /** Of the pod's Namespace. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  /** The uids that ConfigMap `kuik-spared-owners` has for keys. */
  readonly sparedOwners?: readonly string[];
  readonly images: Readonly<Record<string, ExpectedImage>>;
}

/** What cases of one container may change of their pod. */
export interface Change {
  readonly image?: string;
  readonly pullPolicy?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  readonly owners?: readonly Owner[];
  readonly sparedOwners?: readonly string[];
}

/** `Ignored ignoreImages[0]`; after a rewrite the image that the pod gets: `Rewritten default localhost:7439/...`. */
type Outcome = `${Reason} ${string}`;

const OBSERVED: readonly Reason[] = ['Observed', 'NoProxyThere', 'OwnerSpared', 'AlreadyRewritten'];

/** The outcome written out. */
export function expected(outcome: Outcome): ExpectedImage {
  const [reason, rule, image] = outcome.split(' ') as [Reason, string, string?];
  if (image !== undefined) return { verdict: 'rewrite', reason, rule, image };
  return { verdict: OBSERVED.includes(reason) ? 'observe' : 'keep', reason, rule };
}

/** A case of a pod with one container, `quay.io/acme/shop:1.0` unless told otherwise. */
export function oneCase(what: string, rules: RuleCase['rules'], change: Change, outcome: Outcome): RuleCase {
  const {
    image = 'quay.io/acme/shop:1.0',
    pullPolicy,
    namespace = 'default',
    labels,
    annotations,
    owners,
    spec,
  } = change;
  const policy = pullPolicy === undefined ? {} : { imagePullPolicy: pullPolicy };
  return {
    what,
    rules,
    pod: {
      metadata: {
        name: 'shop',
        namespace,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
        ...(owners === undefined ? {} : { ownerReferences: owners }),
      },
      spec: { containers: [{ name: 'app', image, ...policy }], ...spec },
    },
    ...(change.namespaceLabels === undefined ? {} : { namespaceLabels: change.namespaceLabels }),
    ...(change.sparedOwners === undefined ? {} : { sparedOwners: change.sparedOwners }),
    images: { 'c:app': expected(outcome) },
  };
}
