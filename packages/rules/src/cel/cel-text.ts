/**
 * A CEL string literal of this text: raw where that reads better (patterns), else with escapes. Source:
 * github.com/google/cel-spec, langdef.md, "String and Bytes Values".
 */
export function celString(text: string): string {
  return text.includes('\\') && !/["\p{Cc}]/u.test(text) && !text.endsWith('\\') ? `r"${text}"` : JSON.stringify(text);
}

/** A CEL list of string literals. */
export function celStrings(texts: readonly string[]): string {
  return `[${texts.map(celString).join(', ')}]`;
}

/** True when one of the terms is; `false` without terms. */
export function anyOf(terms: readonly string[]): string {
  return terms.length === 0 ? 'false' : terms.map((term) => `(${term})`).join(' || ');
}

/** True when all of the terms are; `true` without terms. */
export function allOf(terms: readonly string[]): string {
  return terms.length === 0 ? 'true' : terms.map((term) => `(${term})`).join(' && ');
}

/** A named expression of a policy: evaluated when it is first asked for, and once per request. */
export interface Variable {
  readonly name: string;
  readonly expression: string;
}

/** A variable that is a column: one value for each image of the pod, `i` being its place in `variables.slots`. */
export function column(name: string, expression: string): Variable {
  return { name, expression: `variables.at.map(i, ${expression})` };
}
