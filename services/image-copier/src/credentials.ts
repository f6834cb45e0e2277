import { CredentialError, type CredentialClient } from '@kuik/bus';
import { credentialsOf, type CredentialSource } from '@kuik/registry';

/** The credentials of one copy, and why there are none when the broker gave none. */
export interface CopyCredentials extends CredentialSource {
  /** Undefined when the broker answered (or there is no broker). */
  failure(): CredentialError | undefined;
}

/**
 * Upstream credentials from the broker, made anew for each copy. When the broker gives none the copy is tried anonymously: a public image
 * needs nobody, a private one fails with upstream's refusal and the broker's reason, and is tried again later.
 */
export function brokeredCredentials(client: CredentialClient): () => CopyCredentials {
  return () => {
    let failure: CredentialError | undefined;
    return {
      failure: () => failure,
      async credentials({ host, repository }) {
        try {
          const credentials = credentialsOf(await client.credential(host, repository));
          failure = undefined;
          return credentials;
        } catch (error) {
          if (!(error instanceof CredentialError)) throw error;
          failure = error;
          return [];
        }
      },
    };
  };
}

/** For a stack without a broker: everything is asked anonymously. */
export function noCredentials(): CopyCredentials {
  return { failure: () => undefined, credentials: () => Promise.resolve([]) };
}
