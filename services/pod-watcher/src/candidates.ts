import type { Credential } from '@kuik/registry';
import { bySpecificity } from './image-match.ts';
import { type Login, readPullSecret } from './pull-secret.ts';
import type { ReadSecret } from './secret-reader.ts';

/** A login that may be tried for a repository. */
export interface Candidate {
  /** For people: `acme/regcred`, `ecr`, or `anonymous`. */
  readonly label: string;
  readonly of: 'secret' | 'provider' | 'nobody';
  readonly credential: Credential;
  /** It is of no use any more then, ms; absent: nobody knows. */
  readonly expiresAtMs?: number;
}

export const ANONYMOUS: Candidate = { label: 'anonymous', of: 'nobody', credential: { kind: 'anonymous' } };

/** Why something that may hold a login gave none; never what it holds. */
export interface LoginMistake {
  readonly of: 'secret' | 'provider';
  readonly label: string;
  readonly mistake: string;
}

export interface Candidates {
  readonly candidates: readonly Candidate[];
  readonly mistakes: readonly LoginMistake[];
}

/**
 * The logins of pull secrets for a repository, most specific entry first whichever secret it is of, secrets in their order for the same entry;
 * each login once. `registryTokenUntilMs`: until when a token that names no end may be used without reading its secret again.
 */
export function candidatesOf(
  secrets: readonly ReadSecret[],
  { host, repository }: { readonly host: string; readonly repository: string },
  registryTokenUntilMs: number,
): Candidates {
  const found: { readonly key: string; readonly candidate: Candidate }[] = [];
  const mistakes: LoginMistake[] = [];
  for (const { source, secret, mistake: unread } of secrets) {
    const label = `${source.namespace}/${source.name}`;
    const reading =
      secret === undefined
        ? { logins: [], mistake: unread ?? 'cannot be read' }
        : readPullSecret(secret, host, repository);
    if (reading.mistake !== undefined) mistakes.push({ of: 'secret', label, mistake: reading.mistake });
    for (const { key, login } of reading.logins) {
      found.push({ key, candidate: { label, of: 'secret', credential: credentialOf(login, registryTokenUntilMs) } });
    }
  }
  found.sort(bySpecificity);
  const distinct = new Map(
    found.map(({ candidate }) => [JSON.stringify([candidate.label, candidate.credential]), candidate]),
  );
  return { candidates: [...distinct.values()], mistakes };
}

function credentialOf(login: Login, untilMs: number): Credential {
  return login.kind === 'registry' ? { kind: 'bearer', token: login.token, expiresAtMs: untilMs } : login;
}
