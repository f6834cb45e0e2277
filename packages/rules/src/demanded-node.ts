import { isRecord } from './json-object.ts';
import type { LabelCondition } from './label-selector.ts';

interface Demand {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly unknown[];
}

/** What `os.name` says of the node. */
export const OS_LABEL = 'kubernetes.io/os';

/**
 * Which of the node selectors a pod demands: the index of the first one, or undefined. A pod demands what `os.name`, `nodeSelector` and
 * its *required* node affinity leave no way around: of several affinity terms, any of which will do, every one has to demand one of
 * the selectors. Each condition of a selector must follow from one demand alone. A preference, a toleration and a field
 * (`metadata.name`) demand no label; which node a pod is on is not looked at, its labels are not known here.
 */
export function demandedNode(spec: unknown, selectors: readonly (readonly LabelCondition[])[]): number | undefined {
  if (!isRecord(spec) || selectors.length === 0) return undefined;
  const always = fixedDemands(spec);
  const terms = affinityTerms(spec);
  // Most pods demand nothing at all.
  if (always.length === 0 && terms === undefined) return undefined;
  const demanded = (demands: readonly Demand[]): number =>
    selectors.findIndex((conditions) =>
      conditions.every((condition) => demands.some((demand) => follows(condition, demand))),
    );
  const found = (terms ?? [[]]).map((term) => demanded([...always, ...term]));
  return found.includes(-1) ? undefined : found[0];
}

function fixedDemands(spec: Record<string, unknown>): Demand[] {
  const { os, nodeSelector } = spec;
  const wanted = isRecord(nodeSelector) ? Object.entries(nodeSelector) : [];
  if (isRecord(os) && typeof os['name'] === 'string') wanted.push([OS_LABEL, os['name']]);
  return wanted.map(([key, value]) => ({ key, operator: 'In', values: [value] }));
}

/** Demands of each term of the required node affinity; undefined when there is none. */
function affinityTerms({ affinity }: Record<string, unknown>): Demand[][] | undefined {
  const node = isRecord(affinity) ? affinity['nodeAffinity'] : undefined;
  const required = isRecord(node) ? node['requiredDuringSchedulingIgnoredDuringExecution'] : undefined;
  const terms = isRecord(required) ? required['nodeSelectorTerms'] : undefined;
  if (!Array.isArray(terms) || terms.length === 0) return undefined;
  return terms.map((term: unknown) => {
    const expressions: unknown[] =
      isRecord(term) && Array.isArray(term['matchExpressions']) ? term['matchExpressions'] : [];
    return expressions.flatMap((expression): Demand[] => {
      if (!isRecord(expression)) return [];
      const { key, operator, values } = expression;
      if (typeof key !== 'string' || typeof operator !== 'string') return [];
      return [{ key, operator, values: Array.isArray(values) ? values : [] }];
    });
  });
}

/** Whether every node that meets the demand meets the condition. */
function follows(condition: LabelCondition, demand: Demand): boolean {
  if (condition.key !== demand.key) return false;
  const oneOf = demand.operator === 'In' && demand.values.length > 0;
  const among = (value: unknown): boolean => (condition.values as readonly unknown[]).includes(value);
  switch (condition.operator) {
    case 'In':
      return oneOf && demand.values.every(among);
    case 'NotIn':
      return (
        (oneOf && !demand.values.some(among)) ||
        demand.operator === 'DoesNotExist' ||
        (demand.operator === 'NotIn' && condition.values.every((value) => demand.values.includes(value)))
      );
    case 'Exists':
      return oneOf || ['Exists', 'Gt', 'Lt'].includes(demand.operator);
    case 'DoesNotExist':
      return demand.operator === 'DoesNotExist';
  }
}
