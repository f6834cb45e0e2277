import { ADMISSION_POLICY } from '@kuik/contracts';
import type { DeciderOptions } from '../decider.ts';
import type { RulesFile } from '../rules-file.ts';
import type { CelMistake } from './cel-mistake.ts';
import type { Variable } from './cel-text.ts';
import { imageVariables } from './image-variables.ts';
import { neededVariables } from './needed-variables.ts';
import { nodeVariables } from './node-variables.ts';
import { patternMistakes } from './pattern-variables.ts';
import { observedVariable, podScope, SKIP, sparedOwnersVariable } from './pod-conditions.ts';
import { markVariables, podPatch } from './pod-patch.ts';
import { pullSecretVariables } from './pull-secret-patch.ts';
import { slotVariables } from './slot-variables.ts';

const API_VERSION = 'admissionregistration.k8s.io/v1';

/** MutatingAdmissionPolicy and its binding, as they are applied: every field that the API server would fill in is there. */
export interface AdmissionPolicy {
  readonly policy: { readonly metadata: { readonly name: string }; readonly spec: object };
  readonly binding: { readonly metadata: { readonly name: string }; readonly spec: object };
}

/** Longest expression that the API server's parser reads, in characters (cel-go, parser/options.go). */
const EXPRESSION_MAX = 100_000;

/** What of these rules a policy in CEL cannot say, with the rule's place in the file; empty: it says all of them. */
export function celMistakes(file: RulesFile): CelMistake[] {
  const mistakes = patternMistakes(file);
  if (mistakes.length > 0) return mistakes;
  const { matchConditions } = podScope(file, []);
  const condition = (wanted: string): string => matchConditions.find(({ name }) => name === wanted)?.expression ?? '';
  const longest: [keyof RulesFile, string[]][] = [
    ['skipLabels', [condition(SKIP.labels)]],
    ['skipAnnotations', [condition(SKIP.annotations)]],
    ['namespaces', [observedVariable(file).expression]],
    ['nodesWithoutProxy', nodeVariables(file).map(({ expression }) => expression)],
  ];
  const reason = `makes an expression of over ${EXPRESSION_MAX} characters, more than the API server reads: leave some of it out`;
  return longest
    .filter(([, expressions]) => expressions.some(({ length }) => length > EXPRESSION_MAX))
    .map(([rule]) => ({ path: [rule], reason }));
}

/**
 * The rules as a MutatingAdmissionPolicy: the same decisions as `Decider`'s and the same patch as the webhook's, made by the API server
 * alone. Differences: no request id is written (a policy does not know it) but `admitted-by`, what kuik v1 wrote on a pod is not read, and
 * there is no hint. Ask `celMistakes` first. Names of variables are those of the rules, or of what they hold. `spared` are the uids
 * of owners whose pods are not to be rewritten. They are compiled in: as the policy's parameter (a ConfigMap) they would be read from a cache that
 * the API server 1.36 never fills again once a policy with such a parameter was removed (kubernetes/kubernetes#130887).
 */
export function compilePolicy(
  file: RulesFile,
  { ownNamespaces, proxyPrefixes, pullSecrets = false }: DeciderOptions,
  spared: readonly string[] = [],
): AdmissionPolicy {
  const { namespaceSelector, objectSelector, matchConditions } = podScope(file, ownNamespaces);
  const onPods = { apiGroups: [''], apiVersions: ['v1'], scope: 'Namespaced' };
  const variables: Variable[] = [
    ...slotVariables(),
    ...nodeVariables(file),
    sparedOwnersVariable(spared),
    observedVariable(file),
    ...imageVariables(file, proxyPrefixes),
    ...markVariables(),
    ...pullSecretVariables(),
  ];
  const expression = podPatch({ pullSecrets });
  const head = (kind: string) => ({ apiVersion: API_VERSION, kind, metadata: { name: ADMISSION_POLICY } });
  return {
    policy: {
      ...head('MutatingAdmissionPolicy'),
      spec: {
        failurePolicy: 'Ignore',
        reinvocationPolicy: 'IfNeeded',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          namespaceSelector,
          objectSelector,
          resourceRules: [
            { ...onPods, operations: ['CREATE'], resources: ['pods'] },
            { ...onPods, operations: ['UPDATE'], resources: ['pods/ephemeralcontainers'] },
          ],
        },
        matchConditions,
        variables: neededVariables(variables, expression),
        mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression } }],
      },
    },
    binding: { ...head('MutatingAdmissionPolicyBinding'), spec: { policyName: ADMISSION_POLICY } },
  };
}
