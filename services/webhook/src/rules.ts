import { RE2JS } from 're2js';

/** Patterns of RE2 (linear time, whatever the pattern): unanchored, on the image as written and in canonical form. */
export interface RuleTexts {
  readonly ignoreImages: readonly string[];
  readonly acceptImages: readonly string[];
  readonly ignoreNamespaces: readonly string[];
}

/** Compiled once; asked once per distinct image, since decisions are remembered. */
export interface Rules {
  /** `ignoreImages[2]`: the first pattern that matches one of the spellings. */
  ignored(spellings: readonly string[]): string | undefined;
  /** `acceptImages[0]`; `default` when there is no accept list; undefined when there is one and nothing matches. */
  accepted(spellings: readonly string[]): string | undefined;
  /** The rule that leaves this namespace alone. */
  namespaceIgnored(namespace: string): string | undefined;
}

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

/** Compiles the rules. `ownNamespaces` are always left alone. Throws for a pattern that `patternMistake` names. */
export function compileRules(texts: RuleTexts, ownNamespaces: readonly string[]): Rules {
  const ignore = texts.ignoreImages.map((pattern) => RE2JS.compile(pattern));
  const accept = texts.acceptImages.map((pattern) => RE2JS.compile(pattern));
  const namespaces = new Map<string, string>();
  texts.ignoreNamespaces.forEach((namespace, index) => namespaces.set(namespace, `ignoreNamespaces[${index}]`));
  for (const namespace of ownNamespaces) namespaces.set(namespace, 'ownNamespaces');
  const first = (patterns: readonly RE2JS[], spellings: readonly string[]): number =>
    patterns.findIndex((pattern) => spellings.some((spelling) => pattern.matcher(spelling).find()));
  return {
    ignored(spellings) {
      const index = first(ignore, spellings);
      return index === -1 ? undefined : `ignoreImages[${index}]`;
    },
    accepted(spellings) {
      if (accept.length === 0) return 'default';
      const index = first(accept, spellings);
      return index === -1 ? undefined : `acceptImages[${index}]`;
    },
    namespaceIgnored: (namespace) => namespaces.get(namespace),
  };
}
