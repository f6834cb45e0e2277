import { describe, expect, it } from '@jest/globals';
import { rulesFile } from '../rules-file.ts';
import { observedVariable, podScope } from './pod-conditions.ts';

type Written = Parameters<typeof rulesFile.parse>[0];
const scopeOf = (written: Written) => podScope(rulesFile.parse(written), ['kube-system', 'kuik-system']);
const name = 'kubernetes.io/metadata.name';
const optedIn = { key: 'kube-image-keeper.enix.io/image-caching-policy', operator: 'NotIn', values: ['ignore'] };

describe('podScope', () => {
  it.each<[string, Written, unknown[]]>([
    ['our own namespaces', {}, [{ key: name, operator: 'NotIn', values: ['kube-system', 'kuik-system'] }]],
    [
      'ignored ones and those that are off',
      { ignoreNamespaces: ['a', 'kube-system'], namespaces: { b: { mode: 'off' }, c: { mode: 'observe' } } },
      [{ key: name, operator: 'NotIn', values: ['kube-system', 'kuik-system', 'a', 'b'] }],
    ],
    [
      'all but those that are on',
      { mode: 'off', namespaces: { a: { mode: 'observe' }, b: { mode: 'rewrite' } } },
      [
        { key: name, operator: 'NotIn', values: ['kube-system', 'kuik-system'] },
        { key: name, operator: 'In', values: ['b', 'a'] },
      ],
    ],
    [
      'all',
      { mode: 'off' },
      [
        { key: name, operator: 'NotIn', values: ['kube-system', 'kuik-system'] },
        { key: name, operator: 'DoesNotExist' },
      ],
    ],
    [
      'those that are not selected',
      { namespaceSelector: { matchLabels: { env: 'prod' } } },
      [
        { key: name, operator: 'NotIn', values: ['kube-system', 'kuik-system'] },
        { key: 'env', operator: 'In', values: ['prod'] },
      ],
    ],
  ])('leaves out by namespace: %s', (_, written, expected) => {
    expect(scopeOf(written).namespaceSelector.matchExpressions).toEqual(expected);
  });

  it('leaves out by label of the pod', () => {
    const podSelector = { matchExpressions: [{ key: 'app', operator: 'Exists' as const }] };
    expect(scopeOf({}).objectSelector.matchExpressions).toEqual([optedIn]);
    expect(scopeOf({ podSelector }).objectSelector.matchExpressions).toEqual([
      optedIn,
      { key: 'app', operator: 'Exists' },
    ]);
  });

  it('has a condition for what no selector can say', () => {
    const names = (written: Written) => scopeOf(written).matchConditions.map((condition) => condition.name);
    expect(names({})).toEqual(['no-mirror', 'not-node-critical']);
    expect(names({ rewriteNodeCritical: true, skipLabels: ['a'], skipAnnotations: ['b=1'] })).toEqual([
      'skip-labels',
      'skip-annotations',
      'no-mirror',
    ]);
    expect(scopeOf({ skipLabels: ['a', 'b=', 'c=x=y'] }).matchConditions[0]?.expression).toBe(
      '!((object.metadata.?labels[?"a"].hasValue()) || ((object.metadata.?labels[?"b"].hasValue()) && (object.metadata.labels["b"] == "")) || ((object.metadata.?labels[?"c"].hasValue()) && (object.metadata.labels["c"] == "x=y")))',
    );
  });
});

describe('observedVariable', () => {
  const elsewhere =
    'variables.withoutProxy >= 0 ? "NoProxyThere nodesWithoutProxy[" + string(variables.withoutProxy) + "]" : size(variables.sparedOwners) > 0 ? "OwnerSpared sparedOwners." + variables.sparedOwners[0] : ""';
  const here = 'request.namespace in ["a"] ? "Observed namespaces." + request.namespace + ".mode" : ';
  it.each<[Written, string]>([
    [{}, ''],
    [{ namespaces: { a: { mode: 'observe' }, b: { mode: 'off' } } }, here],
    [{ mode: 'off', namespaces: { a: { mode: 'observe' } } }, here],
    [
      { mode: 'observe', namespaces: { a: { mode: 'observe' }, b: { mode: 'rewrite' } } },
      `${here}!(request.namespace in ["b"]) ? "Observed mode" : `,
    ],
  ])('%j: %s', (written, expected) => {
    expect(observedVariable(rulesFile.parse(written)).expression).toBe(expected + elsewhere);
  });
});
