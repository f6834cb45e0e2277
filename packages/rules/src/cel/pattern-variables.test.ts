import { describe, expect, it } from '@jest/globals';
import { BUDGET, patternCost, patternMistakes, patternVariables } from './pattern-variables.ts';

const many = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, index) => `${index}`.padEnd(length, 'x'));

describe('patternVariables', () => {
  it('is one column and the choice of it, for as many patterns as one expression can hold', () => {
    const [only, chosen, ...more] = patternVariables('ignoreImages', ['^docker\\.io/', 'nginx']);
    expect(more).toEqual([]);
    expect(only?.name).toBe('ignoreImages0');
    expect(only?.expression).toContain('variables.canonical[i].matches(r"^docker\\.io/")');
    expect(only?.expression).toContain('variables.text[i].matches("nginx")');
    expect(chosen).toEqual({
      name: 'ignoreImages',
      expression: 'variables.at.map(i, variables.ignoreImages0[i] >= 0 ? 0 + variables.ignoreImages0[i] : -1)',
    });
  });

  it('is several when there are more, and the index stays that of the rules file', () => {
    const patterns = many(300, 60);
    const variables = patternVariables('acceptImages', patterns);
    const columns = variables.slice(0, -1);
    expect(columns.length).toBeGreaterThan(2);
    const held = columns.map(({ expression }) => [...expression.matchAll(/canonical\[i\]\.matches/g)].length);
    expect(held.reduce((sum, count) => sum + count, 0)).toBe(300);
    const offsets = [...variables.at(-1)!.expression.matchAll(/\? (\d+) \+/g)].map((match) => Number(match[1]));
    expect(offsets).toEqual(held.map((_, at) => held.slice(0, at).reduce((sum, count) => sum + count, 0)));
  });

  it('says that nothing matches when there are none', () => {
    expect(patternVariables('ignoreImages', [])).toEqual([
      { name: 'ignoreImages', expression: 'variables.at.map(i, -1)' },
    ]);
  });
});

describe('patternMistakes', () => {
  it.each<[string, { ignoreImages?: string[]; acceptImages?: string[] }, string[]]>([
    ['none', {}, []],
    ['fifty of each', { ignoreImages: many(50, 60), acceptImages: many(50, 60) }, []],
    ['one that is too long', { acceptImages: ['a', 'x'.repeat(4_000)] }, ['acceptImages.1: has 4000 characters']],
    ['half of a character', { ignoreImages: ['\ud800'] }, ['ignoreImages.0: holds half of a surrogate pair']],
    [
      'too many together',
      { ignoreImages: many(400, 60), acceptImages: many(300, 60) },
      ['ignoreImages: all patterns together cost 141%'],
    ],
  ])('%s', (_, { ignoreImages = [], acceptImages = [] }, expected) => {
    const found = patternMistakes({ ignoreImages, acceptImages }).map(
      ({ path, reason }) => `${path.join('.')}: ${reason}`,
    );
    expect(found).toHaveLength(expected.length);
    expected.forEach((text, at) => expect(found[at]).toContain(text));
  });

  it('lets the usual pass: 500 patterns of 50 characters', () => {
    expect(500 * patternCost('x'.repeat(50))).toBeLessThan(BUDGET.perRequest);
  });
});
