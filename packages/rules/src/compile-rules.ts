import { CACHING_POLICY_LABEL } from '@kuik/contracts';
import { REASONS, type PodRule, type Reason } from './decision.ts';
import { demandedNode } from './demanded-node.ts';
import { conditionsOf, meets, type Labels } from './label-selector.ts';
import { isMirror, NODE_CRITICAL, type PodFacts } from './pod-facts.ts';
import { patternFinder } from './re2-patterns.ts';
import type { RulesFile } from './rules-file.ts';

/** Rules about images, compiled once; asked once per distinct image, since decisions are remembered. */
export interface ImageRules {
  readonly ignorePullPolicyAlways: boolean;
  /** `ignoreImages[2]`: the first pattern that matches one of the spellings. */
  ignored(spellings: readonly string[]): string | undefined;
  /** `acceptImages[0]`; `default` when there is no accept list; undefined when there is one and nothing matches. */
  accepted(spellings: readonly string[]): string | undefined;
}

/** Compiles what is said of images. */
export function compileImageRules({ ignoreImages, acceptImages, ignorePullPolicyAlways }: RulesFile): ImageRules {
  const ignore = patternFinder(ignoreImages);
  const accept = patternFinder(acceptImages);
  const named = (rule: string, index: number): string | undefined => (index === -1 ? undefined : `${rule}[${index}]`);
  return {
    ignorePullPolicyAlways,
    ignored: (spellings) => named('ignoreImages', ignore(spellings)),
    accepted: (spellings) => (acceptImages.length === 0 ? 'default' : named('acceptImages', accept(spellings))),
  };
}

type PodRules = (pod: PodFacts) => PodRule | undefined;

/**
 * Compiles what is said of pods. `ownNamespaces` are always left alone. A pod is left alone by the first of these that applies:
 * 1. its namespace is ours or the cluster's own, or ignored; 2. the mode there is off; 3. the namespace's labels are not selected;
 * 4. the opt-out label; 5. its own labels are not selected; 6. a label or 7. an annotation to skip; 8. it mirrors a static pod;
 * 9. it is critical to its node. It is cached but not rewritten: 10. in mode observe; 11. when it can only run where no proxy is; 12. when its owner
 * fought the rewriting of its pods.
 */
export function compilePodRules(file: RulesFile, ownNamespaces: readonly string[]): PodRules {
  const ignored = new Map<string, string>();
  file.ignoreNamespaces.forEach((namespace, index) => {
    if (!ignored.has(namespace)) ignored.set(namespace, `ignoreNamespaces[${index}]`);
  });
  for (const namespace of ownNamespaces) ignored.set(namespace, 'ownNamespaces');
  const namespaceSelector = file.namespaceSelector && conditionsOf(file.namespaceSelector);
  const podSelector = file.podSelector && conditionsOf(file.podSelector);
  const skippedLabel = pairFinder(file.skipLabels);
  const skippedAnnotation = pairFinder(file.skipAnnotations);
  const nodesWithoutProxy = file.nodesWithoutProxy.map(conditionsOf);

  return (pod) => {
    const { namespace, namespaceLabels, labels } = pod;
    const namespaceRule = ignored.get(namespace);
    if (namespaceRule !== undefined) return keep(REASONS.namespaceIgnored, namespaceRule);
    const own = Object.hasOwn(file.namespaces, namespace) ? file.namespaces[namespace]?.mode : undefined;
    const mode = own ?? file.mode;
    const modeRule = own === undefined ? 'mode' : `namespaces.${namespace}.mode`;
    if (mode === 'off') return keep(REASONS.modeOff, modeRule);
    if (namespaceSelector !== undefined && namespaceLabels !== undefined && !meets(namespaceLabels, namespaceSelector))
      return keep(REASONS.notSelected, 'namespaceSelector');
    if (labels?.[CACHING_POLICY_LABEL] === 'ignore') return keep(REASONS.optedOut, 'image-caching-policy');
    if (podSelector !== undefined && !meets(labels, podSelector)) return keep(REASONS.notSelected, 'podSelector');
    const label = skippedLabel(labels);
    if (label !== -1) return keep(REASONS.skippedByLabel, `skipLabels[${label}]`);
    const annotation = skippedAnnotation(pod.annotations);
    if (annotation !== -1) return keep(REASONS.skippedByAnnotation, `skipAnnotations[${annotation}]`);
    if (isMirror(pod)) return keep(REASONS.mirrorPod, 'mirror');
    if (pod.priorityClassName === NODE_CRITICAL && !file.rewriteNodeCritical)
      return keep(REASONS.nodeCritical, 'rewriteNodeCritical');
    if (mode === 'observe') return { verdict: 'observe', reason: REASONS.observed, rule: modeRule };
    const node = demandedNode(pod.spec, nodesWithoutProxy);
    if (node !== undefined)
      return { verdict: 'observe', reason: REASONS.noProxyThere, rule: `nodesWithoutProxy[${node}]` };
    if (pod.sparedOwner !== undefined)
      return { verdict: 'observe', reason: REASONS.ownerSpared, rule: `sparedOwners.${pod.sparedOwner}` };
    return undefined;
  };
}

function keep(reason: Reason, rule: string): PodRule {
  return { verdict: 'keep', reason, rule };
}

/** The index of the first `key` or `key=value` that the labels have, or -1. */
function pairFinder(texts: readonly string[]): (labels: Labels | undefined) => number {
  const pairs = texts.map((text) => {
    const at = text.indexOf('=');
    return at === -1 ? { key: text } : { key: text.slice(0, at), value: text.slice(at + 1) };
  });
  return (labels) =>
    labels === undefined
      ? -1
      : pairs.findIndex(
          ({ key, value }) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value),
        );
}
