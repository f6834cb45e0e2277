import { type CredentialSource, RegistryError, type RepositoryClient } from '@kuik/registry';
import type { CopyCredentials } from './credentials.ts';

/**
 * An upstream repository whose manifests and blobs are asked for once more, by a credential that the broker is asked for anew, when upstream refused:
 * a login may have been withdrawn before its time, and "there is none" may still be remembered here (a pod without a credential came first).
 */
export function renewedOnRefusal(
  credentials: Pick<CopyCredentials, 'credentials' | 'renewed'>,
  client: (source: CredentialSource) => RepositoryClient,
): RepositoryClient {
  const first = client(credentials);
  const twice = async <T>(ask: (one: RepositoryClient) => Promise<T>): Promise<T> => {
    try {
      return await ask(first);
    } catch (error) {
      const { renewed } = credentials;
      if (renewed === undefined || !isRefusal(error)) throw error;
      return ask(client(renewed));
    }
  };
  return {
    ...first,
    headManifest: (reference, options) => twice((one) => one.headManifest(reference, options)),
    openManifest: (reference, options) => twice((one) => one.openManifest(reference, options)),
    headBlob: (digest, options) => twice((one) => one.headBlob(digest, options)),
    openBlob: (digest, request) => twice((one) => one.openBlob(digest, request)),
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'unauthorized' || error.code === 'forbidden');
}
