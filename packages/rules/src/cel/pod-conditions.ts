import { CACHING_POLICY_LABEL } from '@kuik/contracts';
import { REASONS } from '../decision.ts';
import { conditionsOf, type LabelSelector } from '../label-selector.ts';
import { MIRROR_ANNOTATION, NODE_CRITICAL } from '../pod-facts.ts';
import type { RulesFile } from '../rules-file.ts';
import { allOf, anyOf, celString, celStrings, type Variable } from './cel-text.ts';

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Which pods policy and webhook look at: the rest is left alone, by the rules of `compilePodRules` that say `keep`. */
export interface PodScope {
  readonly namespaceSelector: { readonly matchExpressions: readonly Requirement[] };
  readonly objectSelector: { readonly matchExpressions: readonly Requirement[] };
  readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
}

/** Names of the conditions that keep pods out by what a person listed. */
export const SKIP = { labels: 'skip-labels', annotations: 'skip-annotations' } as const;

/** Names of all conditions that there can be: what else stands in a registration is somebody else's. */
export const POD_CONDITIONS = [SKIP.labels, SKIP.annotations, 'no-mirror', 'not-node-critical'] as const;

const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

/** What the API server tells from names and labels is a selector, the rest a condition in CEL. */
export function podScope(file: RulesFile, ownNamespaces: readonly string[]): PodScope {
  const out = [...new Set([...ownNamespaces, ...file.ignoreNamespaces, ...namespacesOf(file, 'off')])];
  const named: Requirement[] = [{ key: NAMESPACE_NAME, operator: 'NotIn', values: out }];
  if (file.mode === 'off') {
    const values = [...namespacesOf(file, 'rewrite'), ...namespacesOf(file, 'observe')];
    // Every namespace has this label: without exceptions nothing is looked at.
    named.push({
      key: NAMESPACE_NAME,
      ...(values.length > 0 ? { operator: 'In', values } : { operator: 'DoesNotExist' }),
    });
  }
  const optedIn: Requirement = { key: CACHING_POLICY_LABEL, operator: 'NotIn', values: ['ignore'] };
  const none = (name: (typeof POD_CONDITIONS)[number], terms: readonly string[]) =>
    terms.length === 0 ? [] : [{ name, expression: `!(${anyOf(terms)})` }];
  return {
    namespaceSelector: { matchExpressions: [...named, ...requirements(file.namespaceSelector)] },
    objectSelector: { matchExpressions: [optedIn, ...requirements(file.podSelector)] },
    matchConditions: [
      ...none(
        SKIP.labels,
        file.skipLabels.map((text) => hasPair('labels', text)),
      ),
      ...none(
        SKIP.annotations,
        file.skipAnnotations.map((text) => hasPair('annotations', text)),
      ),
      ...none('no-mirror', [hasPair('annotations', MIRROR_ANNOTATION)]),
      ...none(
        'not-node-critical',
        file.rewriteNodeCritical ? [] : [`object.spec.?priorityClassName.orValue("") == ${celString(NODE_CRITICAL)}`],
      ),
    ],
  };
}

/** The variable `sparedOwners`: which of these uids are of owners of the pod, in the order of the pod. */
export function sparedOwnersVariable(uids: readonly string[]): Variable {
  return {
    name: 'sparedOwners',
    expression: `object.metadata.?ownerReferences.orValue([]).filter(o, o.uid in ${celStrings([...uids].sort())}).map(o, string(o.uid))`,
  };
}

/**
 * The variable `observed`: reason and rule of a pod whose images are cached but stay (`Observed mode`), else empty. It asks for
 * `withoutProxy` and `sparedOwners`. Whatever else is to be cached and left as it is comes here, too.
 */
export function observedVariable(file: RulesFile): Variable {
  const because = (condition: string, decision: string): string => `${condition} ? ${decision} : `;
  const own = namespacesOf(file, 'observe');
  const rewritten = celStrings(namespacesOf(file, 'rewrite'));
  const expression = [
    own.length > 0
      ? because(
          `request.namespace in ${celStrings(own)}`,
          `"${REASONS.observed} namespaces." + request.namespace + ".mode"`,
        )
      : '',
    file.mode === 'observe' ? because(`!(request.namespace in ${rewritten})`, `"${REASONS.observed} mode"`) : '',
    because(
      'variables.withoutProxy >= 0',
      `"${REASONS.noProxyThere} nodesWithoutProxy[" + string(variables.withoutProxy) + "]"`,
    ),
    because('size(variables.sparedOwners) > 0', `"${REASONS.ownerSpared} sparedOwners." + variables.sparedOwners[0]`),
    '""',
  ].join('');
  return { name: 'observed', expression };
}

function namespacesOf({ namespaces }: RulesFile, mode: RulesFile['mode']): string[] {
  return Object.keys(namespaces).filter((name) => namespaces[name]?.mode === mode);
}

function requirements(selector: LabelSelector | undefined): Requirement[] {
  return selector === undefined
    ? []
    : conditionsOf(selector).map(({ key, operator, values }) => ({
        key,
        operator,
        ...(values.length > 0 ? { values } : {}),
      }));
}

/** Of `key` or `key=value`. */
function hasPair(map: 'labels' | 'annotations', text: string): string {
  const at = text.indexOf('=');
  const key = celString(at === -1 ? text : text.slice(0, at));
  const there = `object.metadata.?${map}[?${key}].hasValue()`;
  return at === -1 ? there : allOf([there, `object.metadata.${map}[${key}] == ${celString(text.slice(at + 1))}`]);
}
