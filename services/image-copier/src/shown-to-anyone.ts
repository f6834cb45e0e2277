import type { RepositoryClient } from '@kuik/registry';
import type { CopyCredentials } from './credentials.ts';

/**
 * Watches what an upstream repository shows to a copy that brings no credential: a manifest that it got so, anybody may have. Blobs, lists of
 * tags and refusals tell nothing.
 */
export function shownToAnyone(
  client: RepositoryClient,
  credentials: Pick<CopyCredentials, 'anonymous'>,
  now: () => number,
): { readonly client: RepositoryClient; /** When it did so last, epoch ms. */ at(): number | undefined } {
  let at: number | undefined;
  const noted = async <T>(call: Promise<T>): Promise<T> => {
    const answer = await call;
    // A credential that was given meanwhile may be the one that opened it.
    if (credentials.anonymous()) at = now();
    return answer;
  };
  return {
    client: {
      ...client,
      headManifest: (...request) => noted(client.headManifest(...request)),
      openManifest: (...request) => noted(client.openManifest(...request)),
    },
    at: () => at,
  };
}
