import { compileImageRules, compilePodRules } from './compile-rules.ts';
import { namesProxy } from './decide-image.ts';
import type { Decision, PodRule } from './decision.ts';
import { DecisionMemo } from './decision-memo.ts';
import type { PodFacts } from './pod-facts.ts';
import type { RulesFile } from './rules-file.ts';

export interface DeciderOptions {
  /** Namespaces that are left alone whatever the rules say: our own and the cluster's. */
  readonly ownNamespaces: readonly string[];
  /** How images name the proxy; the first is written, all are read. */
  readonly proxyPrefixes: readonly string[];
  /** Whether pods whose images go through the proxy get the pull secret of their service account; default false. */
  readonly pullSecrets?: boolean;
}

/** An image and when it is pulled. */
interface PolicedImage {
  readonly image: string;
  readonly pullPolicy?: string | undefined;
}

/** What becomes of a pod and of each of its images, in the order of its slots. */
export interface PodDecision {
  /** What was decided before the images were looked at. */
  readonly pod: PodRule | undefined;
  readonly images: readonly Decision[];
}

/** One set of rules, ready to decide. Other rules are another decider. */
export class Decider {
  /** The rules, as plain data. */
  readonly file: RulesFile;
  readonly proxyPrefixes: readonly string[];
  readonly pullSecrets: boolean;
  readonly #podRule: ReturnType<typeof compilePodRules>;
  readonly #memo: DecisionMemo;

  constructor(file: RulesFile, { ownNamespaces, proxyPrefixes, pullSecrets = false }: DeciderOptions) {
    this.file = file;
    this.pullSecrets = pullSecrets;
    this.proxyPrefixes = proxyPrefixes;
    this.#podRule = compilePodRules(file, ownNamespaces);
    this.#memo = new DecisionMemo(compileImageRules(file), proxyPrefixes);
  }

  /**
   * Decides every image. An image that goes through the proxy already is used, whatever is said of its pod; else a pod that is left
   * alone keeps its images, and one that is only observed has them cached where they would have been rewritten.
   */
  decide(facts: PodFacts, slots: readonly PolicedImage[]): PodDecision {
    const pod = this.#podRule(facts);
    return { pod, images: slots.map(({ image, pullPolicy }) => this.#decideImage(pod, image, pullPolicy)) };
  }

  #decideImage(pod: PodRule | undefined, image: string, pullPolicy: string | undefined): Decision {
    if (pod?.verdict === 'keep' && !namesProxy(image, this.proxyPrefixes)) {
      return { verdict: 'keep', reason: pod.reason, rule: pod.rule, image };
    }
    const decision = this.#memo.decide(image, pullPolicy);
    if (pod === undefined || decision.verdict !== 'rewrite') return decision;
    return { verdict: 'observe', reason: pod.reason, rule: pod.rule, image, reference: decision.reference };
  }
}
