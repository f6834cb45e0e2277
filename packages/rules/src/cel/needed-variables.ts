import type { Variable } from './cel-text.ts';

/** Names of the variables that an expression asks for. */
export function variablesOf(expression: string): string[] {
  return [...expression.matchAll(/\bvariables\.([A-Za-z0-9_]+)/g)].map((match) => match[1]!);
}

/** Those variables that an expression asks for, by itself or through others, in their order. Each may ask for earlier ones only. */
export function neededVariables(variables: readonly Variable[], expression: string): Variable[] {
  const needed = new Set(variablesOf(expression));
  for (const variable of variables.toReversed()) {
    if (needed.has(variable.name)) for (const name of variablesOf(variable.expression)) needed.add(name);
  }
  return variables.filter(({ name }) => needed.has(name));
}
