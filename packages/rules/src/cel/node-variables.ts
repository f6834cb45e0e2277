import { conditionsOf, type LabelCondition } from '../label-selector.ts';
import { OS_LABEL } from '../demanded-node.ts';
import type { RulesFile } from '../rules-file.ts';
import { allOf, anyOf, celString, celStrings, type Variable } from './cel-text.ts';

/**
 * Which of the nodes without a proxy the pod demands, as `demandedNode` finds it, or -1. `demands` has one list for each term of the required node
 * affinity (or a single one), each with what `nodeSelector` and `os.name` demand, too.
 */
export function nodeVariables({ nodesWithoutProxy }: RulesFile): Variable[] {
  if (nodesWithoutProxy.length === 0) return [{ name: 'withoutProxy', expression: '-1' }];
  const meets = nodesWithoutProxy.map((selector) => allOf(conditionsOf(selector).map(followed)));
  const wanted = (key: string, value: string): string =>
    `{"key": dyn(${key}), "operator": dyn("In"), "values": dyn([${value}])}`;
  const affinity = 'object.spec.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution';
  return [
    {
      name: 'fixedDemands',
      expression: `object.spec.?nodeSelector.orValue({}).transformList(k, v, ${wanted('k', 'v')}) + (object.spec.?os.?name.hasValue() ? [${wanted(celString(OS_LABEL), 'object.spec.os.name')}] : [])`,
    },
    { name: 'affinityTerms', expression: `${affinity}.?nodeSelectorTerms.orValue([])` },
    {
      name: 'demands',
      expression:
        'size(variables.affinityTerms) == 0 ? [variables.fixedDemands] : variables.affinityTerms.map(t, variables.fixedDemands + t.?matchExpressions.orValue([]))',
    },
    {
      name: 'withoutProxy',
      expression: `variables.demands.all(t, ${anyOf(meets)}) ? [variables.demands[0]].map(t, [${meets.join(', ')}].indexOf(true))[0] : -1`,
    },
  ];
}

/** Whether one of the demands `t` alone makes sure that the node meets the condition. */
function followed({ key, operator, values }: LabelCondition): string {
  const oneOf = 'd.operator == "In" && size(d.?values.orValue([])) > 0';
  const among = (all: string): string => `d.values.${all}(v, v in ${celStrings(values)})`;
  const ways: Record<LabelCondition['operator'], string[]> = {
    In: [`${oneOf} && ${among('all')}`],
    NotIn: [
      `${oneOf} && !${among('exists')}`,
      'd.operator == "DoesNotExist"',
      `d.operator == "NotIn" && ${celStrings(values)}.all(v, v in d.?values.orValue([]))`,
    ],
    Exists: [oneOf, 'd.operator in ["Exists", "Gt", "Lt"]'],
    DoesNotExist: ['d.operator == "DoesNotExist"'],
  };
  return `t.exists(d, d.key == ${celString(key)} && (${anyOf(ways[operator])}))`;
}
