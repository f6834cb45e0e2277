import type { BlobTurns, TransferLeases } from '@kuik/queue';
import { copyBlob, type RepositoryClient, type UploadSessions } from '@kuik/registry';
import type { TransferReader } from './proof.ts';
import type { TransfersParts } from './transfers.ts';

export interface StoreParts {
  readonly cache: (repository: Pick<TransferReader, 'host' | 'path'>) => RepositoryClient | undefined;
  readonly turns: Pick<BlobTurns, 'of'>;
  readonly sessions: UploadSessions;
  readonly signal: AbortSignal;
  readonly count: (result: 'stored' | 'failed') => void;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

/** Puts what a transfer reads into the cache, as a copy would: by turns, mounted when it is there under another name. */
export function storeBlob({ cache, turns, sessions, signal, count, log }: StoreParts): TransfersParts['store'] {
  return async (reader, size, source) => {
    const { host, digest } = reader;
    const target = cache(reader);
    if (target === undefined) return false;
    try {
      await copyBlob({
        source,
        target,
        blob: { mediaType: '', digest, size },
        turns: turns.of(host),
        inline: undefined,
        sessions,
        chunkBytes: Infinity,
        signal,
        onBytes: () => undefined,
      });
      count('stored');
      return true;
    } catch (error) {
      count('failed');
      log.warn('blob of a pull not stored', { digest, repository: target.repository, error });
      return false;
    }
  };
}

/** Where uploads are, told to whoever goes on with them. */
export function notedSessions(leases: Pick<TransferLeases, 'note' | 'noted'>): UploadSessions {
  const key = (digest: string, repository: string): string => `${repository}:${digest}`;
  return {
    find: (digest, repository) => leases.noted(key(digest, repository)),
    began: (digest, repository, location) => void leases.note(key(digest, repository), location),
  };
}
