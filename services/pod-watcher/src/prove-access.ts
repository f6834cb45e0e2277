import {
  type Credential,
  type PullToken,
  type PullTokenExchange,
  RegistryError,
  type RegistryAccess,
} from '@kuik/registry';
import { refusesLogin } from './refuses-login.ts';

/** What upstream says to one credential: it may read the repository, may not, does not have it, limits us, or could not be asked. */
export type Proof = 'passed' | 'refused' | 'gone' | 'limited' | 'down';

export type ProvingRegistry = PullTokenExchange & Pick<RegistryAccess, 'upstream'>;

/**
 * Asks upstream, with this credential and nothing that was kept of it: a fresh token, then the head of an image's manifest, which costs no
 * quota. An image that is not there (any more) proves nothing; the repository's tags then do. Never throws for what a registry says.
 */
export async function proveAccess(
  registry: ProvingRegistry,
  { host, path, reference }: { host: string; path: string; reference?: string | undefined },
  credential: Credential,
): Promise<Proof> {
  try {
    const token = await registry.exchangePullToken(host, path, credential);
    const client = registry.upstream(host, path, { credentials: () => Promise.resolve(asCredentials(token)) });
    if (reference !== undefined) {
      const found = await client.headManifest(reference).then(
        () => true,
        (error: unknown) => {
          if (error instanceof RegistryError && error.code === 'not-found') return false;
          throw error;
        },
      );
      if (found) return 'passed';
    }
    await client.listTags({ n: 1 });
    return 'passed';
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (refusesLogin(error)) return 'refused';
    if (error.code === 'rate-limited') return 'limited';
    return error.code === 'not-found' ? 'gone' : 'down';
  }
}

function asCredentials(token: PullToken): Credential[] {
  return token.kind === 'anonymous' ? [] : [token];
}
