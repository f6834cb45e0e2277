import type { RulesFile } from '../rules-file.ts';
import { celString, column, type Variable } from './cel-text.ts';
import type { CelMistake } from './cel-mistake.ts';

type PatternRule = 'ignoreImages' | 'acceptImages';

/** The largest pod whose images are still decided: more, or longer ones, and the API server gives up and admits it as it is. */
export const LARGEST_POD = { images: 20, characters: 255 } as const;

/**
 * Of what the API server spends on one expression (1,000,000) and on one request (10,000,000), less a fifth for all that is no pattern.
 * Source: k8s.io/apiserver, pkg/apis/cel/config.go; the price of `matches` is cel-go's, interpreter/runtimecost.go.
 */
export const BUDGET = { perExpression: 800_000, perRequest: 8_000_000 } as const;

/** What one pattern costs for the largest pod, its images being matched in both spellings. */
export function patternCost(pattern: string): number {
  const match = Math.ceil((LARGEST_POD.characters + 1) / 10) * Math.ceil(pattern.length / 4);
  const lookUps = 12;
  return LARGEST_POD.images * 2 * (match + lookUps);
}

/** Patterns that one expression can hold: the index of the first, and what they are. */
interface Chunk {
  readonly from: number;
  readonly patterns: readonly string[];
}

/**
 * A column with the index of the first pattern that matches an image in its canonical form or as it was written, or -1, also of images
 * that are not `judged`. Called like the rule.
 */
export function patternVariables(rule: PatternRule, patterns: readonly string[]): Variable[] {
  const parts = chunks(patterns).map((chunk, at) => ({ chunk, name: `${rule}${at}` }));
  const columns = parts.map(({ chunk, name }) => {
    const matches = chunk.patterns.map((pattern) => {
      const text = celString(pattern);
      return `variables.canonical[i].matches(${text}) || (variables.respelled[i] && variables.text[i].matches(${text}))`;
    });
    return column(name, `variables.judged[i] ? [${matches.join(', ')}].indexOf(true) : -1`);
  });
  const first = parts.map(({ chunk, name }) => `variables.${name}[i] >= 0 ? ${chunk.from} + variables.${name}[i] : `);
  return [...columns, column(rule, `${first.join('')}-1`)];
}

/** Patterns that are too much for the API server, and texts that it would not read. */
export function patternMistakes(file: Pick<RulesFile, PatternRule>): CelMistake[] {
  const rules: readonly PatternRule[] = ['ignoreImages', 'acceptImages'];
  const single = rules.flatMap((rule) =>
    file[rule].flatMap((pattern, index): CelMistake[] => {
      const path = [rule, index];
      if (!pattern.isWellFormed()) return [{ path, reason: 'holds half of a surrogate pair, which CEL cannot write' }];
      if (patternCost(pattern) <= BUDGET.perExpression) return [];
      const reason = `has ${pattern.length} characters, more than the API server evaluates: split or shorten it`;
      return [{ path, reason }];
    }),
  );
  if (single.length > 0) return single;
  const costs = rules.map((rule) => ({
    rule,
    cost: file[rule].reduce((sum, pattern) => sum + patternCost(pattern), 0),
  }));
  const whole = costs.reduce((sum, { cost }) => sum + cost, 0);
  if (whole <= BUDGET.perRequest) return [];
  const { rule } = costs.reduce((most, other) => (other.cost > most.cost ? other : most));
  const percent = Math.ceil((100 * whole) / BUDGET.perRequest);
  const reason = `all patterns together cost ${percent}% of what the API server spends on a pod of ${LARGEST_POD.images} images: join or shorten some of these ${file[rule].length}`;
  return [{ path: [rule], reason }];
}

function chunks(patterns: readonly string[]): Chunk[] {
  const found: { from: number; patterns: string[]; cost: number }[] = [];
  patterns.forEach((pattern, index) => {
    const cost = patternCost(pattern);
    const last = found.at(-1);
    if (last !== undefined && last.cost + cost <= BUDGET.perExpression) {
      last.patterns.push(pattern);
      last.cost += cost;
    } else found.push({ from: index, patterns: [pattern], cost });
  });
  return found;
}
