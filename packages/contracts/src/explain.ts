import type { ErrorCode } from './error-codes.ts';
import type { UnreadSecret } from './sealed-credential.ts';

/** Names in one line; the rest is counted. */
const SHOWN = 4;

/** An upstream repository: canonical host, path without host. */
export interface ExplainedRepository {
  readonly host: string;
  readonly path: string;
}

/** One line for a person: what could not be done, why, and what to do about it. Each part without its full stop. */
export function explain(doing: string, why: string, remedy: string): string {
  return `${doing}: ${why}. ${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`;
}

/** A code's remedy, with the settings of this host (when it is known) named in full: `registries["quay.io"].ca`. */
export function remedyFor({ remedy }: Pick<ErrorCode, 'remedy'>, host: string | undefined): string {
  if (host === undefined) return remedy;
  return remedy.replaceAll('registries.<host>', `registries[${JSON.stringify(host)}]`);
}

/**
 * A registry's refusal, for people: with what it was asked (`tried`: names of pull secrets, `namespace/name`; never what they hold), and what to do.
 * `said` is the registry's own word, when it gave one; `unread` the secrets that gave no login to ask with.
 */
export function explainRefusal(
  { host, path }: ExplainedRepository,
  tried: readonly string[],
  said?: string,
  unread: readonly UnreadSecret[] = [],
): { why: string; remedy: string } {
  const word = said === undefined || said === '' ? '' : `: ${said}`;
  const [wrong] = unread;
  if (wrong !== undefined) {
    const asked = tried.length === 0 ? 'anonymous access' : `every credential (${secretsOf(tried)}; anonymous)`;
    const unreadable = listed(unread.map(({ name, mistake }) => `secret ${name}: ${mistake}`));
    return {
      why: `the registry refused ${asked}, and a pull secret gave no login (${unreadable})${word}`,
      remedy: `fix secret ${wrong.name}, and check that its login can read ${path}`,
    };
  }
  if (tried.length === 0) {
    return {
      why: `the registry refused anonymous access, and no pull secret for ${host} was found${word}`,
      remedy: `add a pull secret for ${host} to the pod or its service account, or check the name`,
    };
  }
  const [first] = tried;
  return {
    why: `the registry refused every credential (${secretsOf(tried)}; anonymous)${word}`,
    remedy:
      tried.length === 1
        ? `check that the login in secret ${first} is valid and can read ${path}`
        : `check that the login in one of these secrets is valid and can read ${path}`,
  };
}

function secretsOf(names: readonly string[]): string {
  return `pull ${names.length === 1 ? 'secret' : 'secrets'} ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return names.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
