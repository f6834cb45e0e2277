import { CredentialError, type CredentialClient } from '@kuik/bus';
import { credentialsOf, type CredentialSource } from '@kuik/registry';

/**
 * Upstream credentials from the broker. When the broker is away a copy is tried anonymously: a public image needs nobody, a private one
 * fails with upstream's own refusal and is tried again later.
 */
export function brokeredCredentials(client: CredentialClient): CredentialSource {
  return {
    async credentials({ host, repository }) {
      try {
        return credentialsOf(await client.credential(host, repository));
      } catch (error) {
        if (error instanceof CredentialError) return [];
        throw error;
      }
    },
  };
}
