import { FIXED } from '@kuik/contracts';
import { FINAL_WORDS, RegistryError, type RepositoryClient } from '@kuik/registry';
import type { TransferReader } from './proof.ts';
import type { Transfers } from './transfers.ts';

export interface SharedSourceParts {
  readonly join: Transfers['join'];
  /** A repository as another copier gives it away. */
  readonly at: (address: string, reader: Pick<TransferReader, 'host' | 'path' | 'requestId'>) => RepositoryClient;
}

/**
 * An upstream repository whose blobs are read through transfers: from our own, from another copier's, and alone when neither can be had, or
 * when the blob is small: a lease and a spool file cost more than its bytes. What upstream says to either is upstream's word.
 */
export function sharedSource(
  client: RepositoryClient,
  reader: Pick<TransferReader, 'host' | 'path' | 'requestId'>,
  { join, at }: SharedSourceParts,
): RepositoryClient {
  return {
    ...client,
    async openBlob(digest, request = {}) {
      const { offset, end, size = Infinity } = request;
      if (size <= FIXED.smallBlobBytes) return client.openBlob(digest, request);
      try {
        const joined = await join({ ...reader, digest, offset, end, access: 'credential', store: false });
        if ('blob' in joined) return joined.blob;
        return await at(joined.at, reader).openBlob(digest, { ...request, verify: false });
      } catch (error) {
        if (error instanceof RegistryError && FINAL_WORDS.has(error.code)) throw error;
        return client.openBlob(digest, request);
      }
    },
  };
}
