import { openBlobOver, RegistryError, type BufferPool, type OpenBlob } from '@kuik/registry';
import { SpoolFile, spoolName } from './spool-file.ts';
import type { SpoolRoom } from './spool-room.ts';

export interface LeftSpool {
  readonly room: Pick<SpoolRoom, 'folder'>;
  readonly buffers: BufferPool;
  /** Of the transfer. */
  readonly key: string;
}

/**
 * Bytes `offset` to `end` (inclusive) of what lies on this disk of a blob; undefined when the first of them is not there. Delivery throws `truncated`
 * where what is there ends: whoever reads goes on elsewhere.
 */
export async function openLeft(
  { room, buffers, key }: LeftSpool,
  { offset = 0, end }: { readonly offset?: number | undefined; readonly end?: number | undefined },
): Promise<OpenBlob | undefined> {
  const spool = await SpoolFile.peek(room.folder, key, spoolName(key));
  if (spool === undefined) return undefined;
  const close = (): Promise<void> => spool.close(false);
  const to = Math.min(spool.size, (end ?? spool.size - 1) + 1);
  const known = Math.min(to, spool.have.endOf(offset));
  if (known <= offset) {
    await close();
    return undefined;
  }
  return openBlobOver({
    totalSize: spool.size,
    offset,
    length: to - offset,
    contentType: 'application/octet-stream',
    async pump(sink, signal) {
      try {
        const buffer = buffers.borrow();
        try {
          for (let at = offset; at < known;) {
            if (signal?.aborted === true) throw new RegistryError('aborted', 'the reader left');
            const chunk = await spool.read(buffer, at, known - at);
            if (chunk.length === 0) break;
            await sink(chunk);
            at += chunk.length;
          }
        } finally {
          buffers.release(buffer);
        }
      } finally {
        await close();
      }
      if (known < to) throw new RegistryError('truncated', `only bytes up to ${known} were left`);
    },
    cancel: () => void close(),
  });
}
