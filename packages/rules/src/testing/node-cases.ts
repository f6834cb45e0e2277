import { oneCase, type RuleCase } from './one-case.ts';

const SHOP = 'Rewritten default localhost:7439/quay.io/acme/shop:1.0' as const;
const WINDOWS = 'NoProxyThere nodesWithoutProxy[0]' as const;
const OS = 'kubernetes.io/os';
type Expression = readonly [key: string, operator: string, ...values: string[]];

/** Required node affinity: any of the terms will do. */
function required(...terms: readonly (readonly Expression[])[]): Record<string, unknown> {
  const nodeSelectorTerms = terms.map((term) => ({
    matchExpressions: term.map(([key, operator, ...values]) => ({ key, operator, values })),
  }));
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } };
}
const preferred = {
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [{ key: OS, operator: 'In', values: ['windows'] }] } },
      ],
    },
  },
};
const EDGE = {
  nodesWithoutProxy: [
    { matchLabels: { pool: 'edge' }, matchExpressions: [{ key: 'arm', operator: 'Exists' as const }] },
    { matchExpressions: [{ key: 'managed', operator: 'DoesNotExist' as const }] },
    { matchExpressions: [{ key: 'zone', operator: 'NotIn' as const, values: ['a', 'b'] }] },
  ],
};

/** Cases that the nodes decide on which a pod can run. */
export const NODE_CASES: readonly RuleCase[] = [
  oneCase('Windows by os', {}, { spec: { os: { name: 'windows' } } }, WINDOWS),
  oneCase('Linux by os', {}, { spec: { os: { name: 'linux' } } }, SHOP),
  oneCase('Windows by node selector', {}, { spec: { nodeSelector: { [OS]: 'windows' } } }, WINDOWS),
  oneCase('Windows by required affinity', {}, { spec: required([[OS, 'In', 'windows']]) }, WINDOWS),
  oneCase('Windows or Linux in one term', {}, { spec: required([[OS, 'In', 'windows', 'linux']]) }, SHOP),
  oneCase(
    'Windows or Linux in two terms',
    {},
    { spec: required([[OS, 'In', 'windows']], [[OS, 'In', 'linux']]) },
    SHOP,
  ),
  oneCase(
    'Windows in both terms',
    {},
    {
      spec: required(
        [
          [OS, 'In', 'windows'],
          ['zone', 'In', 'a'],
        ],
        [[OS, 'In', 'windows']],
      ),
    },
    WINDOWS,
  ),
  oneCase(
    'Windows or a virtual node',
    {},
    { spec: required([['type', 'In', 'virtual-kubelet']], [[OS, 'In', 'windows']]) },
    'NoProxyThere nodesWithoutProxy[1]',
  ),
  oneCase(
    'a term for every node, but a node selector for Windows',
    {},
    { spec: { nodeSelector: { [OS]: 'windows' }, ...required([['zone', 'In', 'a']]) } },
    WINDOWS,
  ),
  oneCase('Windows by preference only', {}, { spec: preferred }, SHOP),
  oneCase(
    'Windows by toleration only',
    {},
    { spec: { tolerations: [{ key: OS, operator: 'Equal', value: 'windows' }] } },
    SHOP,
  ),
  oneCase(
    'a virtual node',
    {},
    { spec: { nodeSelector: { type: 'virtual-kubelet' } } },
    'NoProxyThere nodesWithoutProxy[1]',
  ),
  oneCase('the node itself says nothing', {}, { spec: { nodeName: 'win-1' } }, SHOP),
  oneCase('no such nodes in the rules', { nodesWithoutProxy: [] }, { spec: { os: { name: 'windows' } } }, SHOP),
  oneCase(
    'nothing is cached that is ignored',
    { ignoreImages: ['shop'] },
    { spec: { os: { name: 'windows' } } },
    'Ignored ignoreImages[0]',
  ),
  oneCase('mode observe comes before', { mode: 'observe' }, { spec: { os: { name: 'windows' } } }, 'Observed mode'),
  oneCase(
    'all conditions of a selector',
    EDGE,
    { spec: { nodeSelector: { pool: 'edge' }, ...required([['arm', 'Exists']]) } },
    'NoProxyThere nodesWithoutProxy[0]',
  ),
  oneCase('one condition of two', EDGE, { spec: { nodeSelector: { pool: 'edge' } } }, SHOP),
  oneCase(
    'a label that must be absent',
    EDGE,
    { spec: required([['managed', 'DoesNotExist']]) },
    'NoProxyThere nodesWithoutProxy[1]',
  ),
  oneCase(
    'none of the values',
    EDGE,
    { spec: required([['zone', 'NotIn', 'a', 'b', 'c']]) },
    'NoProxyThere nodesWithoutProxy[2]',
  ),
  oneCase('some of the values', EDGE, { spec: required([['zone', 'NotIn', 'a']]) }, SHOP),
  oneCase(
    'values beyond those',
    EDGE,
    { spec: required([['zone', 'In', 'c', 'd']]) },
    'NoProxyThere nodesWithoutProxy[2]',
  ),
];
