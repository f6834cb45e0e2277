/** Why an image goes through the proxy, is only cached, or stays alone. Stable: they reach logs, metrics and answers unchanged. */
export const REASONS = {
  rewritten: 'Rewritten',
  observed: 'Observed',
  noProxyThere: 'NoProxyThere',
  ownerSpared: 'OwnerSpared',
  alreadyRewritten: 'AlreadyRewritten',
  proxyImageUnreadable: 'ProxyImageUnreadable',
  notAReference: 'NotAReference',
  pullPolicyNever: 'PullPolicyNever',
  pullPolicyAlways: 'PullPolicyAlways',
  ignored: 'Ignored',
  notAccepted: 'NotAccepted',
  localRegistry: 'LocalRegistry',
  notEncodable: 'NotEncodable',
  namespaceIgnored: 'NamespaceIgnored',
  modeOff: 'ModeOff',
  optedOut: 'OptedOut',
  notSelected: 'NotSelected',
  skippedByLabel: 'SkippedByLabel',
  skippedByAnnotation: 'SkippedByAnnotation',
  mirrorPod: 'MirrorPod',
  nodeCritical: 'NodeCritical',
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** `rewrite`: cached, and the pod gets it through the proxy. `observe`: cached, the pod keeps it as it is. `keep`: neither. */
export type Verdict = 'rewrite' | 'observe' | 'keep';

interface Decided {
  readonly reason: Reason;
  /** The rule that decided: `default`, `ignoreImages[0]`, `namespaces.payments.mode`, ... */
  readonly rule: string;
  /** The image that the pod gets. */
  readonly image: string;
}

/** What becomes of one image of a pod: rewritten or not, cached or not, and why. */
export type Decision = Decided &
  (
    | {
        readonly verdict: 'rewrite' | 'observe';
        /** Canonical text of what is cached. */
        readonly reference: string;
      }
    | { readonly verdict: 'keep'; readonly reference?: undefined }
  );

/** What is decided of a pod before its images are looked at; nothing at all when they may be rewritten. */
export interface PodRule {
  readonly verdict: Exclude<Verdict, 'rewrite'>;
  readonly reason: Reason;
  readonly rule: string;
}
