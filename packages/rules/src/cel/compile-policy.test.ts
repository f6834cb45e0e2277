import { describe, expect, it } from '@jest/globals';
import { rulesFile } from '../rules-file.ts';
import { celMistakes, compilePolicy } from './compile-policy.ts';
import { variablesOf } from './needed-variables.ts';

type Written = Parameters<typeof rulesFile.parse>[0];
const options = { ownNamespaces: ['kube-system', 'kuik-system'], proxyPrefixes: ['localhost:7439', 'localhost:4242'] };

interface Spec {
  readonly failurePolicy: string;
  readonly matchConditions: readonly { name: string; expression: string }[];
  readonly variables: readonly { name: string; expression: string }[];
  readonly mutations: readonly { jsonPatch: { expression: string } }[];
}
/** As many as pod-watcher remembers. */
const UIDS = Array.from({ length: 500 }, (_, at) => `0be1f7aa-1111-4222-8333-${at}`.padEnd(36, '0'));
const specOf = (written: Written): Spec => compilePolicy(rulesFile.parse(written), options, UIDS).policy.spec as Spec;

const EVERYTHING: Written = {
  namespaces: { a: { mode: 'observe' }, b: { mode: 'off' } },
  ignoreImages: Array.from({ length: 200 }, (_, index) => `^registry-${index}\\.example\\.(?:com|org)/team-[a-z]+/`),
  acceptImages: ['.'],
  skipLabels: ['skip'],
  skipAnnotations: ['skip=1'],
  podSelector: { matchLabels: { app: 'x' } },
};

describe.each<[string, Written]>([
  ['the defaults', {}],
  ['everything', EVERYTHING],
  ['what is left of it', { ignorePullPolicyAlways: false, nodesWithoutProxy: [], rewriteNodeCritical: true }],
])('compilePolicy of %s', (_, written) => {
  const { variables, mutations, matchConditions, failurePolicy } = specOf(written);

  it('asks for no variable before it is there, and for each one somewhere', () => {
    const known = new Set<string>();
    const asked = new Set(variablesOf(mutations[0]!.jsonPatch.expression));
    for (const { name, expression } of variables) {
      const early = variablesOf(expression).filter((other) => !known.has(other));
      expect([name, early]).toEqual([name, []]);
      for (const other of variablesOf(expression)) asked.add(other);
      expect(known).not.toContain(name);
      known.add(name);
    }
    expect([...asked].filter((name) => !known.has(name))).toEqual([]);
    expect([...known].filter((name) => !asked.has(name))).toEqual([]);
  });

  it('asks for no variable where there is none', () => {
    expect(matchConditions.flatMap(({ expression }) => variablesOf(expression))).toEqual([]);
  });

  it('never refuses a pod, and fits into what the API server parses', () => {
    expect(failurePolicy).toBe('Ignore');
    expect(Math.max(...variables.map(({ expression }) => expression.length))).toBeLessThan(100_000);
  });
});

describe('compilePolicy', () => {
  it('reads all prefixes and writes the first', () => {
    const { variables } = specOf({});
    const expression = (name: string) => variables.find((variable) => variable.name === name)?.expression;
    expect(expression('through')).toContain('"localhost:7439/"');
    expect(expression('through')).not.toContain('4242');
    expect(expression('behind')).toBe(
      'variables.at.map(i, variables.text[i].startsWith("localhost:7439/") ? variables.text[i].substring(15) : variables.text[i].startsWith("localhost:4242/") ? variables.text[i].substring(15) : "")',
    );
  });

  it('is the same whatever the order of spared owners', () => {
    const [one, other] = [UIDS, UIDS.toReversed()].map((uids) => compilePolicy(rulesFile.parse({}), options, uids));
    expect(one).toEqual(other);
    expect(one).not.toEqual(compilePolicy(rulesFile.parse({}), options));
  });

  it('is the same each time', () => {
    expect(specOf(EVERYTHING)).toEqual(specOf(EVERYTHING));
  });
});

describe('celMistakes', () => {
  it.each<[string, Written, string[]]>([
    ['the defaults', {}, []],
    ['everything', EVERYTHING, []],
    [
      'several at once',
      { ignoreImages: ['x'.repeat(5_000)], acceptImages: ['y', 'x'.repeat(5_000)] },
      ['ignoreImages.0', 'acceptImages.1'],
    ],
    [
      'a list that no expression holds',
      { skipLabels: Array.from({ length: 2_000 }, (_, index) => `label-${index}=${'x'.repeat(40)}`) },
      ['skipLabels'],
    ],
    [
      'more namespaces than an expression holds',
      {
        namespaces: Object.fromEntries(
          Array.from({ length: 2_000 }, (_, index) => [`n-${index}-${'x'.repeat(40)}`, { mode: 'observe' as const }]),
        ),
      },
      ['namespaces'],
    ],
  ])('%s', (_, written, expected) => {
    expect(celMistakes(rulesFile.parse(written)).map(({ path }) => path.join('.'))).toEqual(expected);
  });
});
