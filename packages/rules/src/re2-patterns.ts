import { RE2JS } from 're2js';

/** Why a text is no RE2 pattern, or undefined when it is one. */
export function patternMistake(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    // `error parsing regexp: missing closing ): ` and the whole pattern once more.
    const said = (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ');
    return `not a valid RE2 pattern: ${said.replace(/^error parsing regexp: /, '').replace(/: `.*`$/, '')}`;
  }
}

/** The index of the first pattern that is found in one of the spellings, or -1. Throws for a pattern that `patternMistake` names. */
export function patternFinder(patterns: readonly string[]): (spellings: readonly string[]) => number {
  const compiled = patterns.map((pattern) => RE2JS.compile(pattern));
  return (spellings) => compiled.findIndex((pattern) => spellings.some((spelling) => pattern.matcher(spelling).find()));
}
