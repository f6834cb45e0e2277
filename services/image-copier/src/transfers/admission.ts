import type { LeftSpool } from '@kuik/queue';
import {
  blobSource,
  openResuming,
  RegistryError,
  type BlobSource,
  type BufferPool,
  type RepositoryClient,
} from '@kuik/registry';
import { frontTeller } from './front-teller.ts';
import { NEAR_BYTES } from './next-read.ts';
import { isProven, proofOf, type TransferReader } from './proof.ts';
import { sizeOfSpool, SpoolFile, spoolName, type SpoolMemory } from './spool-file.ts';
import type { SpoolRoom } from './spool-room.ts';
import { Transfer } from './transfer.ts';

export interface AdmissionParts {
  readonly room: SpoolRoom;
  readonly buffers: BufferPool;
  /** For what came last of each blob; absent: all is read from files. */
  readonly memory?: SpoolMemory;
  readonly upstream: (reader: Pick<TransferReader, 'host' | 'path' | 'access' | 'requestId'>) => RepositoryClient;
  readonly cache: (repository: Pick<TransferReader, 'host' | 'path'>) => RepositoryClient | undefined;
  /** What a process that owned the transfer before left of the blob; named as its spool is. */
  readonly leftBy: (left: LeftSpool, reader: Pick<TransferReader, 'host' | 'path' | 'digest'>) => BlobSource;
  /** The spool of a transfer has come to this byte. */
  readonly onReached: (key: string, upTo: number) => void;
  readonly onBytes: (from: 'upstream' | 'cache' | 'copier', bytes: number) => void;
  /** Epoch ms. */
  readonly now: () => number;
  /** Monotonic ms. */
  readonly monotonic: () => number;
}

/** Name of the cache among the sources. */
const CACHE = 'cache';

/** What upstream said to another reader says nothing of this one's right; that it said nothing is the same for all, and took as long. */
function throwSilence(error: unknown): void {
  if (error instanceof RegistryError && error.code === 'timeout') throw error;
}

/** No room for the spool file: whoever asked reads by itself. */
export class NoRoom extends Error {
  constructor() {
    super('no room for another spool file');
    this.name = 'NoRoom';
  }
}

/** One transfer of ours, from the claim of its lease to its end. */
export interface Entry {
  readonly key: string;
  readonly name: string;
  /** The blob came into the cache shortly before, into whichever repository: it may be there under the reader's, too. */
  readonly lately: boolean;
  /** It came into the cache since. */
  landed: boolean;
  /** Some of its bytes came from the cache. */
  fromCache: boolean;
  /** What the cache holds of it was wrong a while ago: it is neither read there nor put there, where nothing overwrites it. */
  readonly distrusted: boolean;
  /** What those who owned it before may have left, the latest first. */
  readonly before: readonly LeftSpool[];
  storing: boolean;
  transfer?: Transfer;
  opening?: Promise<void>;
  readonly proven: Set<string>;
  readonly proving: Map<string, Promise<void>>;
  holds: number;
  beat?: NodeJS.Timeout;
}

/** A transfer that nobody came to yet, as its lease tells of it. */
export function newEntry(
  key: string,
  { landed, before, distrusted }: Pick<Entry, 'landed' | 'before' | 'distrusted'>,
): Entry {
  return {
    key,
    name: spoolName(key),
    lately: landed,
    landed: false,
    fromCache: false,
    distrusted,
    before,
    storing: false,
    proven: new Set(),
    proving: new Map(),
    holds: 0,
  };
}

/** Whose the entries are. */
export interface EntryOwner {
  /** Whether it was not ended meanwhile. */
  readonly lives: (entry: Entry) => boolean;
  /** The disk did not take what was read. */
  readonly onUnkept: (error: unknown) => void;
  /** Nobody reads it any more. */
  readonly onIdle: (entry: Entry) => void;
}

/** Lets readers in: only whom upstream lets in (docs/transfers.md, "Who may join"), the first one by opening upstream for it. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #owner: EntryOwner;

  constructor(parts: AdmissionParts, owner: EntryOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  /** Proves the reader's right, by opening upstream for it when nobody did yet. */
  async admit(entry: Entry, reader: TransferReader): Promise<void> {
    const proof = proofOf(reader);
    for (;;) {
      if (entry.transfer !== undefined && isProven(entry.proven, reader)) return;
      if (entry.transfer === undefined) {
        if (entry.opening === undefined) {
          const opening = this.#open(entry, reader).finally(() => delete entry.opening);
          entry.opening = opening;
          await opening;
        } else await entry.opening.catch(throwSilence);
        continue;
      }
      let proving = entry.proving.get(proof);
      if (proving === undefined) {
        proving = this.#prove(entry, entry.transfer, reader).finally(() => entry.proving.delete(proof));
        entry.proving.set(proof, proving);
      }
      await proving;
    }
  }

  /**
   * The first reader: upstream is opened for it. Not when an earlier process left the file (its right is still to be proved then), or other
   * owners may have left bytes: those are read first.
   */
  async #open(entry: Entry, reader: TransferReader): Promise<void> {
    const { digest, offset = 0, pieces } = reader;
    const end = reader.end ?? (pieces === true ? offset + NEAR_BYTES - 1 : undefined);
    const { folder } = this.#parts.room;
    const left = sizeOfSpool(folder, entry.key, entry.name);
    if (left !== undefined) {
      entry.transfer = await this.#transfer(entry, digest, left);
      return;
    }
    if (entry.before.length > 0) {
      entry.transfer = await this.#transfer(entry, digest, await this.#sizeAt(reader));
      this.#proved(entry, entry.transfer, reader);
      return;
    }
    const sources = this.#sources(entry, reader);
    let from = sources[0]!.name;
    const blob = await openResuming({
      sources,
      digest,
      offset,
      ...(end === undefined ? {} : { end }),
      verify: false,
      onSwitch: ({ next }) => (from = next.name),
    });
    try {
      entry.transfer = await this.#transfer(entry, digest, blob.totalSize);
    } catch (error) {
      blob.cancel();
      throw error;
    }
    entry.fromCache ||= from === CACHE;
    // What our cache holds under this repository is any proxy's to read; anything else upstream has just shown.
    this.#proved(entry, entry.transfer, reader);
    if (blob.length === 0) blob.cancel();
    else entry.transfer.adopt(blob, from);
  }

  async #transfer(entry: Entry, digest: string, size: number): Promise<Transfer> {
    const { room, buffers, memory, onBytes, onReached, now, monotonic } = this.#parts;
    const former = new Set(entry.before.map(({ spool }) => spool));
    if (!room.take(entry.name, size, now())) throw new NoRoom();
    try {
      const spool = await SpoolFile.open(room.folder, entry.key, entry.name, size, memory);
      if (!this.#owner.lives(entry)) {
        await spool.close(true);
        throw new RegistryError('refused', 'this process ends');
      }
      return new Transfer({
        digest,
        spool,
        buffers,
        patchy: entry.before.length > 0,
        onBytes: (from, bytes) => {
          entry.fromCache ||= from === CACHE;
          onBytes(from === CACHE ? CACHE : former.has(from) ? 'copier' : 'upstream', bytes);
        },
        onReached: frontTeller((upTo) => onReached(entry.key, upTo), monotonic),
        onUnkept: (error) => this.#owner.onUnkept(error),
        onIdle: () => this.#owner.onIdle(entry),
      });
    } catch (error) {
      room.leave(entry.name, false, now());
      throw error instanceof RegistryError ? error : new NoRoom();
    }
  }

  #sources(entry: Entry, reader: TransferReader): BlobSource[] {
    const { upstream, cache, leftBy } = this.#parts;
    const { digest } = reader;
    const held = (entry.landed || entry.lately) && !entry.distrusted ? cache(reader) : undefined;
    return [
      ...(held === undefined ? [] : [blobSource(CACHE, held, digest)]),
      ...entry.before.map((left) => leftBy(left, reader)),
      blobSource(proofOf(reader), upstream(reader), digest),
    ];
  }

  /** The blob's size as upstream tells it to the reader. Throws what upstream answers. */
  async #sizeAt(reader: TransferReader): Promise<number> {
    const { digest, host, path } = reader;
    const head = await this.#parts.upstream(reader).headBlob(digest);
    if (head !== undefined) return head.size;
    throw new RegistryError('not-found', `blob ${digest} of ${host}/${path}: status 404`, { status: 404 });
  }

  async #prove(entry: Entry, transfer: Transfer, reader: TransferReader): Promise<void> {
    const size = await this.#sizeAt(reader);
    if (size !== transfer.size) {
      const { digest, host, path } = reader;
      throw new RegistryError('invalid-response', `blob ${digest} of ${host}/${path} has ${size} bytes`);
    }
    this.#proved(entry, transfer, reader);
  }

  #proved(entry: Entry, transfer: Transfer, reader: TransferReader): void {
    for (const source of this.#sources(entry, reader)) transfer.addSource(source);
    entry.proven.add(proofOf(reader));
  }
}
