import { CredentialError, type CredentialClient } from '@kuik/bus';
import type { UnreadSecret } from '@kuik/contracts';
import { credentialsOf, NO_CREDENTIALS, type CredentialSource } from '@kuik/registry';

/** The credentials of one copy, and what a person should know of them when it is refused. */
export interface CopyCredentials extends CredentialSource {
  /** The same, for what upstream refused: the broker is asked in any case. Absent: there is no broker. */
  readonly renewed?: CredentialSource;
  /** Why the broker gave none; undefined when it answered (or there is no broker). */
  failure(): CredentialError | undefined;
  /** Pull secrets that were tried (names), as the broker said; undefined when nobody knows. */
  tried(): readonly string[] | undefined;
  /** Pull secrets that gave no login, with what is wrong with each. */
  unread(): readonly UnreadSecret[];
  /** Whom the registry counts what was given last for; undefined: nobody in particular. */
  account(): string | undefined;
  /** Whether nothing was given that names anybody: what upstream showed so far it shows to all. */
  anonymous(): boolean;
}

/** The request that a copy follows, from admission on; `pull`: one waits for what is read. */
export interface CopyOrigin {
  readonly requestId?: string;
  readonly pull?: true;
}

/**
 * Upstream credentials from the broker, made anew for each copy. When the broker gives none the copy is tried anonymously: a public image
 * needs nobody, a private one fails with upstream's refusal and the broker's reason, and is tried again later.
 */
export function brokeredCredentials(client: CredentialClient): (origin: CopyOrigin) => CopyCredentials {
  return (origin) => {
    let failure: CredentialError | undefined;
    let tried: readonly string[] | undefined;
    let unread: readonly UnreadSecret[] = [];
    let anonymous = true;
    let account: string | undefined;
    const ask =
      (renewing: { renew?: true }): CredentialSource['credentials'] =>
      async ({ host, repository }) => {
        try {
          const given = await client.credential(host, repository, { ...origin, ...renewing });
          failure = undefined;
          account = given.kind === 'anonymous' ? undefined : given.account;
          tried = given.tried ?? [];
          unread = given.unread ?? [];
          anonymous &&= given.kind === 'anonymous' || (given.kind === 'bearer' && given.anonymous === true);
          return credentialsOf(given);
        } catch (error) {
          if (!(error instanceof CredentialError)) throw error;
          failure = error;
          account = undefined;
          tried = error.failure === 'unauthorized' ? error.tried : undefined;
          unread = [];
          return [];
        }
      };
    return {
      credentials: ask({}),
      renewed: { credentials: ask({ renew: true }) },
      account: () => account,
      anonymous: () => anonymous,
      failure: () => failure,
      tried: () => tried,
      unread: () => unread,
    };
  };
}

/** For a stack without a broker: everything is asked anonymously. */
export function noCredentials(): CopyCredentials {
  return {
    failure: () => undefined,
    tried: () => undefined,
    unread: () => [],
    account: () => undefined,
    anonymous: () => true,
    ...NO_CREDENTIALS,
  };
}
