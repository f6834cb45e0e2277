import { RegistryError, type RepositoryClient } from '@kuik/registry';

/**
 * An upstream repository whose blobs are asked for once more, by a credential that the broker is asked for anew, when upstream refused: whoever
 * reads shows that there is one by now, while "there is none" may still be remembered here (a pod without a credential came first).
 */
export function renewedOnRefusal(client: (options: { renew: boolean }) => RepositoryClient): RepositoryClient {
  const first = client({ renew: false });
  const twice = async <T>(ask: (one: RepositoryClient) => Promise<T>): Promise<T> => {
    try {
      return await ask(first);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return ask(client({ renew: true }));
    }
  };
  return {
    ...first,
    headBlob: (digest, options) => twice((one) => one.headBlob(digest, options)),
    openBlob: (digest, request) => twice((one) => one.openBlob(digest, request)),
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'unauthorized' || error.code === 'forbidden');
}
