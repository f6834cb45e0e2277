import { CredentialError, type CredentialClient } from '@kuik/bus';
import type { Credential, CredentialSource } from '@kuik/registry';

/**
 * Upstream credentials from the broker. When the broker is away a copy is tried anonymously: a public image needs nobody, a private one
 * fails with upstream's own refusal and is tried again later.
 */
export function brokeredCredentials(client: CredentialClient): CredentialSource {
  return {
    async credentials({ host, repository }): Promise<readonly Credential[]> {
      try {
        const credential = await client.credential(host, repository);
        switch (credential.kind) {
          case 'anonymous':
            return [];
          case 'bearer':
            return [credential];
          case 'header':
            return [{ kind: 'header', value: credential.value }];
        }
      } catch (error) {
        if (error instanceof CredentialError) return [];
        throw error;
      }
    },
  };
}
