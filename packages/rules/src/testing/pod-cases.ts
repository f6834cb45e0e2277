import { oneCase, type RuleCase } from './one-case.ts';

const SHOP = 'Rewritten default localhost:7439/quay.io/acme/shop:1.0' as const;
const PROXIED = { image: 'localhost:7439/quay.io/acme/shop:1.0' };
const OPT_OUT = 'kube-image-keeper.enix.io/image-caching-policy';
const MIRROR = { annotations: { 'kubernetes.io/config.mirror': 'abc' } };

/** Cases that the rest of the pod decides. Own namespaces are `kube-system`, `kuik-system`, `kuik-system-proxy`. */
export const POD_CASES: readonly RuleCase[] = [
  oneCase('kube-system', {}, { namespace: 'kube-system' }, 'NamespaceIgnored ownNamespaces'),
  oneCase(
    'our own namespace, whatever is said of it',
    { namespaces: { 'kuik-system': { mode: 'rewrite' } } },
    { namespace: 'kuik-system' },
    'NamespaceIgnored ownNamespaces',
  ),
  oneCase("the node proxy's namespace", {}, { namespace: 'kuik-system-proxy' }, 'NamespaceIgnored ownNamespaces'),
  oneCase(
    'a listed namespace',
    { ignoreNamespaces: ['dev', 'ci'] },
    { namespace: 'ci' },
    'NamespaceIgnored ignoreNamespaces[1]',
  ),
  oneCase('a namespace that is not listed', { ignoreNamespaces: ['dev', 'ci'] }, {}, SHOP),
  oneCase(
    'through the proxy in an ignored namespace',
    { ignoreNamespaces: ['ci'] },
    { ...PROXIED, namespace: 'ci' },
    'AlreadyRewritten proxyPrefixes',
  ),
  oneCase('mode off', { mode: 'off' }, {}, 'ModeOff mode'),
  oneCase('mode off but here', { mode: 'off', namespaces: { default: { mode: 'rewrite' } } }, {}, SHOP),
  oneCase(
    'mode off here',
    { namespaces: { payments: { mode: 'off' } } },
    { namespace: 'payments' },
    'ModeOff namespaces.payments.mode',
  ),
  oneCase('mode observe', { mode: 'observe' }, {}, 'Observed mode'),
  oneCase(
    'mode observe here',
    { namespaces: { payments: { mode: 'observe' } } },
    { namespace: 'payments' },
    'Observed namespaces.payments.mode',
  ),
  oneCase('mode observe elsewhere', { namespaces: { payments: { mode: 'observe' } } }, {}, SHOP),
  oneCase(
    'mode observe caches nothing that is ignored',
    { mode: 'observe', ignoreImages: ['shop'] },
    {},
    'Ignored ignoreImages[0]',
  ),
  oneCase('through the proxy in mode off', { mode: 'off' }, PROXIED, 'AlreadyRewritten proxyPrefixes'),
  oneCase('through the proxy in mode observe', { mode: 'observe' }, PROXIED, 'AlreadyRewritten proxyPrefixes'),
  oneCase(
    'nothing readable behind the proxy in mode off',
    { mode: 'off' },
    { image: 'localhost:7439/UPPER/x:1' },
    'ProxyImageUnreadable proxyPrefixes',
  ),
  oneCase(
    'a namespace that is selected',
    { namespaceSelector: { matchLabels: { tier: 'prod' } } },
    { namespaceLabels: { tier: 'prod' } },
    SHOP,
  ),
  oneCase(
    'a namespace that is not',
    { namespaceSelector: { matchLabels: { tier: 'prod' } } },
    { namespaceLabels: { tier: 'dev' } },
    'NotSelected namespaceSelector',
  ),
  oneCase(
    'a namespace by NotIn, without the label',
    { namespaceSelector: { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['dev'] }] } },
    { namespaceLabels: {} },
    SHOP,
  ),
  oneCase('the opt-out label', {}, { labels: { [OPT_OUT]: 'ignore' } }, 'OptedOut image-caching-policy'),
  oneCase('another value of that label', {}, { labels: { [OPT_OUT]: 'keep' } }, SHOP),
  oneCase(
    'a pod that is selected',
    { podSelector: { matchExpressions: [{ key: 'cnpg.io/podRole', operator: 'NotIn', values: ['instance'] }] } },
    {},
    SHOP,
  ),
  oneCase(
    'a pod that is not',
    { podSelector: { matchExpressions: [{ key: 'cnpg.io/podRole', operator: 'NotIn', values: ['instance'] }] } },
    { labels: { 'cnpg.io/podRole': 'instance' } },
    'NotSelected podSelector',
  ),
  oneCase(
    'a pod without labels',
    { podSelector: { matchExpressions: [{ key: 'cache', operator: 'Exists' }] } },
    {},
    'NotSelected podSelector',
  ),
  oneCase(
    'both kinds of conditions',
    { podSelector: { matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'DoesNotExist' }] } },
    { labels: { a: '1', b: '2' } },
    'NotSelected podSelector',
  ),
  oneCase(
    'a label to skip, by key',
    { skipLabels: ['x', 'app.kubernetes.io/managed-by'] },
    { labels: { 'app.kubernetes.io/managed-by': 'any' } },
    'SkippedByLabel skipLabels[1]',
  ),
  oneCase(
    'a label to skip, by value',
    { skipLabels: ['team=infra'] },
    { labels: { team: 'infra' } },
    'SkippedByLabel skipLabels[0]',
  ),
  oneCase('another value', { skipLabels: ['team=infra'] }, { labels: { team: 'shop' } }, SHOP),
  oneCase('an empty value', { skipLabels: ['team='] }, { labels: { team: '' } }, 'SkippedByLabel skipLabels[0]'),
  oneCase(
    'an annotation to skip',
    { skipAnnotations: ['sidecar.istio.io/status'] },
    { annotations: { 'sidecar.istio.io/status': '{}' } },
    'SkippedByAnnotation skipAnnotations[0]',
  ),
  oneCase(
    'an annotation to skip, with = in its value',
    { skipAnnotations: ['note=a=b'] },
    { annotations: { note: 'a=b' } },
    'SkippedByAnnotation skipAnnotations[0]',
  ),
  oneCase('a label does not skip by annotation', { skipAnnotations: ['team'] }, { labels: { team: 'infra' } }, SHOP),
  oneCase('the mirror of a static pod', {}, MIRROR, 'MirrorPod mirror'),
  oneCase('the mirror of a static pod, observed', { mode: 'observe' }, MIRROR, 'MirrorPod mirror'),
  oneCase(
    'critical to its node',
    {},
    { spec: { priorityClassName: 'system-node-critical' } },
    'NodeCritical rewriteNodeCritical',
  ),
  oneCase(
    'critical to its node, asked for',
    { rewriteNodeCritical: true },
    { spec: { priorityClassName: 'system-node-critical' } },
    SHOP,
  ),
  oneCase('critical to the cluster', {}, { spec: { priorityClassName: 'system-cluster-critical' } }, SHOP),
];
