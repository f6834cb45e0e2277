import { describe, expect, it } from '@jest/globals';
import { annotationKeys } from './pod-facts.ts';
import { rulesFile } from './rules-file.ts';

describe('rulesFile', () => {
  it('has a default for everything', () => {
    expect(rulesFile.parse({})).toMatchObject({
      mode: 'rewrite',
      ignorePullPolicyAlways: false,
      rewriteNodeCritical: false,
      ignoreImages: [],
      nodesWithoutProxy: [
        { matchLabels: { 'kubernetes.io/os': 'windows' } },
        { matchLabels: { type: 'virtual-kubelet' } },
      ],
    });
  });

  it.each<[string, unknown, string, string]>([
    ['a mode that is none', { mode: 'on' }, 'mode', 'Invalid option'],
    ['a mode of a namespace', { namespaces: { ci: { mode: 'on' } } }, 'namespaces.ci.mode', 'Invalid option'],
    [
      'a namespace in upper case',
      { ignoreNamespaces: ['CI'] },
      'ignoreNamespaces.0',
      'must be the name of a namespace',
    ],
    [
      'a pattern that is none',
      { ignoreImages: ['a', '^docker\\.io/(lib'] },
      'ignoreImages.1',
      'not a valid RE2 pattern: missing closing ): "^docker\\.io/(lib"',
    ],
    ['a look-ahead, which RE2 has not', { acceptImages: ['^(?!x)'] }, 'acceptImages.0', 'not a valid RE2 pattern'],
    ['a back-reference, neither', { acceptImages: ['(a)\\1'] }, 'acceptImages.0', 'not a valid RE2 pattern'],
    ['a selector of v2', { skipLabels: ['a in (b,c)'] }, 'skipLabels.0', 'must be key or key=value: "a in (b,c)"'],
    ['a pair without a key', { skipAnnotations: ['=x'] }, 'skipAnnotations.0', 'must be key or key=value'],
    [
      'In without values',
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
      'podSelector.matchExpressions.0.values',
      'In needs values',
    ],
    [
      'Exists with values',
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } },
      'podSelector.matchExpressions.0.values',
      'Exists takes no values',
    ],
    [
      'a value that no label has',
      { podSelector: { matchLabels: { app: 'a b' } } },
      'podSelector.matchLabels.app',
      'can be no value of a label',
    ],
    [
      'another, too long',
      { namespaceSelector: { matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['x', 'z'.repeat(64)] }] } },
      'namespaceSelector.matchExpressions.0.values.1',
      'can be no value of a label',
    ],
    ['a selector of every node', { nodesWithoutProxy: [{}] }, 'nodesWithoutProxy.0', 'needs a condition'],
    [
      'a key that is no label',
      { podSelector: { matchLabels: { 'a b': 'c' } } },
      'podSelector.matchLabels.a b',
      'Invalid key',
    ],
  ])('refuses %s', (_, written, path, message) => {
    const { issues = [] } = rulesFile.safeParse(written).error ?? {};
    expect(issues.map((issue) => issue.path.join('.'))).toEqual([path]);
    expect(issues[0]!.message).toContain(message);
  });
});

it('annotations that rules look at are known by key', () => {
  const rules = rulesFile.parse({ skipAnnotations: ['a', 'b/c=d=e'] });
  expect(annotationKeys(rules)).toEqual(['kubernetes.io/config.mirror', 'a', 'b/c']);
});
