import { describe, expect, it } from '@jest/globals';
import { parseJsonPath, valuesAt } from './json-path.ts';

const OBJECT = {
  spec: {
    image: 'a',
    none: null,
    sets: [{ template: 1 }, { template: 2 }, {}],
    roles: { master: { image: 'm' }, worker: { image: 'w' } },
    'a.b/c': { d: 'odd' },
    'kebab-case': 'k',
  },
};

describe('paths into objects', () => {
  it.each([
    ['.spec.image', ['a']],
    ['$.spec.image', ['a']],
    ['{.spec.image}', ['a']],
    ['.spec.sets[*].template', [1, 2]],
    ['.spec.sets.*.template', [1, 2]],
    ['.spec.sets[1].template', [2]],
    ['.spec.sets[7].template', []],
    ['.spec.roles.*.image', ['m', 'w']],
    ['.spec.roles[*].image', ['m', 'w']],
    ["['spec']['a.b/c'].d", ['odd']],
    ['.spec.kebab-case', ['k']],
    ['.spec.none', []],
    ['.spec.image.deeper', []],
    ['.constructor', []],
    ['.spec.sets.length', [3]],
    ['.', [OBJECT]],
  ])('%s', (text, values) => {
    expect(valuesAt(OBJECT, parseJsonPath(text)!)).toEqual(values);
  });

  it.each([
    '',
    'spec.image',
    '.spec..image',
    '.spec.',
    '.spec[?(@.a)]',
    '.spec[1:2]',
    '.spec[-1]',
    '..',
    '.spec image',
  ])('%j is none', (text) => {
    expect(parseJsonPath(text)).toBeUndefined();
  });
});
