import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferLeases } from '@kuik/queue';
import {
  openResuming,
  RegistryError,
  type BlobSource,
  type BufferPool,
  type OpenBlob,
  type RepositoryClient,
} from '@kuik/registry';
import { NEAR_BYTES } from './next-read.ts';
import { isProven, proofOf, type Access } from './proof.ts';
import { sizeOfSpool, SpoolFile } from './spool-file.ts';
import type { SpoolRoom } from './spool-room.ts';
import { Transfer } from './transfer.ts';

/** Who wants which bytes, and by what right. */
export interface TransferReader {
  readonly host: string;
  readonly path: string;
  readonly digest: string;
  readonly access: Access;
  readonly offset?: number | undefined;
  /** Last byte, inclusive. */
  readonly end?: number | undefined;
  /** It may leave after a piece, and fetch other pieces beside it. */
  readonly pieces?: boolean | undefined;
  readonly requestId?: string | undefined;
  /** Put it into the cache, too; a copy does that itself. */
  readonly store: boolean;
}

/** The bytes, or the address of the process that has them. */
export type Joined = { readonly blob: OpenBlob } | { readonly at: string };

export interface TransfersParts {
  readonly leases: TransferLeases;
  readonly room: SpoolRoom;
  readonly buffers: BufferPool;
  /** Our own, as others reach it. */
  readonly address: () => string;
  /** Whether the process at this address answers. */
  readonly alive: (address: string) => Promise<boolean>;
  readonly upstream: (reader: Pick<TransferReader, 'host' | 'path' | 'access' | 'requestId'>) => RepositoryClient;
  readonly cache: (repository: Pick<TransferReader, 'host' | 'path'>) => RepositoryClient | undefined;
  /** Brings the blob into the cache from this source; true when it is there. Never throws. */
  readonly store: (reader: TransferReader, size: number, source: RepositoryClient) => Promise<boolean>;
  readonly onBytes: (from: 'upstream' | 'cache', bytes: number) => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly log: { debug(message: string, fields?: Record<string, unknown>): void };
}

/** No room for the spool file: whoever asked reads by itself. */
export class NoRoom extends Error {
  constructor() {
    super('no room for another spool file');
    this.name = 'NoRoom';
  }
}

/** One transfer of ours, from the claim of its lease to its end. */
interface Entry {
  readonly key: string;
  readonly name: string;
  /** The blob came into the cache lately, by whomever. */
  landed: boolean;
  storing: boolean;
  transfer?: Transfer;
  opening?: Promise<void>;
  readonly proven: Set<string>;
  readonly proving: Map<string, Promise<void>>;
  holds: number;
  beat?: NodeJS.Timeout;
}

const moved = (): RegistryError => new RegistryError('refused', 'this transfer has another owner now');

/** All transfers of this process; who else owns one is asked of the leases. The protocol is docs/transfers.md. */
export class Transfers {
  readonly #parts: TransfersParts;
  readonly #entries = new Map<string, Entry>();
  readonly #claims = new Map<string, Promise<Entry | { at: string }>>();
  readonly #closing = new Map<string, Promise<void>>();
  readonly #sweep: NodeJS.Timeout;
  #closed = false;

  constructor(parts: TransfersParts, sweepMs = 60_000) {
    this.#parts = parts;
    this.#sweep = setInterval(() => parts.room.sweep(parts.now()), sweepMs).unref();
  }

  get active(): number {
    return this.#entries.size;
  }

  /** Joins the blob's transfer, or begins it. Throws NoRoom, and RegistryError for what upstream answers. */
  async join(reader: TransferReader): Promise<Joined> {
    const entry = await this.#entry(reader);
    if ('at' in entry) return entry;
    entry.holds += 1;
    try {
      await this.#admit(entry, reader);
      const transfer = entry.transfer!;
      if (this.#closed) transfer.end(new RegistryError('refused', 'this process ends'));
      if (transfer.ended !== undefined) throw transfer.ended;
      const blob = transfer.read(reader);
      if (reader.store) this.#store(entry, reader);
      return { blob };
    } finally {
      entry.holds -= 1;
      this.#leaveWhenIdle(entry);
    }
  }

  /** Cuts every reader off; leases go to whoever asks next. At most a second. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const { transfer } of this.#entries.values()) transfer?.end(new RegistryError('refused', 'this process ends'));
    // Readers notice when their client takes the next chunk, who opens upstream when it answers.
    for (let waits = 0; waits < 50 && this.#entries.size > 0; waits += 1) await sleep(20);
    for (const entry of this.#entries.values()) this.#end(entry);
    await Promise.all(this.#closing.values());
  }

  async #entry(reader: TransferReader): Promise<Entry | { at: string }> {
    const key = `${reader.host}:${reader.digest}`;
    await this.#closing.get(key);
    if (this.#closed) throw new RegistryError('refused', 'this process ends');
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    let claim = this.#claims.get(key);
    if (claim === undefined) {
      claim = this.#claim(key, reader.digest).finally(() => this.#claims.delete(key));
      this.#claims.set(key, claim);
    }
    return claim;
  }

  async #claim(key: string, digest: string): Promise<Entry | { at: string }> {
    const { leases, alive, address } = this.#parts;
    const me = address();
    let claim = await leases.claim(key, me);
    // A dead owner's lease runs out by itself, but somebody is waiting for his bytes.
    if (claim !== undefined && claim.owner !== me && !(await alive(claim.owner)))
      claim = await leases.claim(key, me, claim.owner);
    if (claim !== undefined && claim.owner !== me) return { at: claim.owner };
    if (this.#closed) {
      await leases.release(key, me, false);
      throw new RegistryError('refused', 'this process ends');
    }
    const entry: Entry = {
      key,
      name: key.replace(/[^a-zA-Z0-9.-]/g, '_'),
      landed: claim?.landed ?? false,
      storing: false,
      proven: new Set(),
      proving: new Map(),
      holds: 0,
    };
    entry.beat = setInterval(() => void this.#renew(entry), leases.lockMs / 3).unref();
    this.#entries.set(key, entry);
    this.#parts.log.debug('transfer begins', { digest, key });
    return entry;
  }

  async #renew(entry: Entry): Promise<void> {
    const { leases, address, log } = this.#parts;
    const claim = await leases.claim(entry.key, address());
    if (claim === undefined || claim.owner === address() || this.#entries.get(entry.key) !== entry) return;
    log.debug('transfer has another owner', { key: entry.key, owner: claim.owner });
    clearInterval(entry.beat);
    entry.transfer?.end(moved());
    this.#leaveWhenIdle(entry);
  }

  /** Proves the reader's right, by opening upstream for it when nobody did yet. */
  async #admit(entry: Entry, reader: TransferReader): Promise<void> {
    const proof = proofOf(reader);
    for (;;) {
      if (entry.transfer !== undefined && isProven(entry.proven, reader)) return;
      if (entry.transfer === undefined) {
        if (entry.opening === undefined) {
          const opening = this.#open(entry, reader).finally(() => delete entry.opening);
          entry.opening = opening;
          await opening;
        } else await entry.opening.catch(() => undefined);
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

  /** The first reader: upstream is opened for it, unless an earlier process left the file; then its right is still to be proved. */
  async #open(entry: Entry, reader: TransferReader): Promise<void> {
    const { digest, offset = 0, pieces } = reader;
    const end = reader.end ?? (pieces === true ? offset + NEAR_BYTES - 1 : undefined);
    const { folder } = this.#parts.room;
    const left = sizeOfSpool(folder, entry.key, entry.name);
    if (left !== undefined) {
      entry.transfer = await this.#transfer(entry, digest, left);
      return;
    }
    const sources = this.#sources(entry, reader);
    let from = sources.at(-1)!.name;
    const blob = await openResuming({
      sources: sources.map((source) => ({
        name: source.name,
        open: async (request) => {
          const opened = await source.open(request);
          from = source.name;
          return opened;
        },
      })),
      digest,
      offset,
      ...(end === undefined ? {} : { end }),
      verify: false,
    });
    try {
      entry.transfer = await this.#transfer(entry, digest, blob.totalSize);
    } catch (error) {
      blob.cancel();
      throw error;
    }
    for (const source of sources) entry.transfer.addSource(source);
    // What our cache holds under this repository is any proxy's to read; anything else upstream has just shown.
    entry.proven.add(proofOf(reader));
    if (blob.length === 0) blob.cancel();
    else entry.transfer.adopt(blob, from);
  }

  async #transfer(entry: Entry, digest: string, size: number): Promise<Transfer> {
    const { room, buffers, onBytes, now } = this.#parts;
    if (!room.take(entry.name, size, now())) throw new NoRoom();
    try {
      const spool = await SpoolFile.open(room.folder, entry.key, entry.name, size);
      if (this.#entries.get(entry.key) !== entry) {
        await spool.close(true);
        throw new RegistryError('refused', 'this process ends');
      }
      const count = (from: string, bytes: number): void => onBytes(from === 'cache' ? 'cache' : 'upstream', bytes);
      return new Transfer({ digest, spool, buffers, onBytes: count, onIdle: () => this.#leaveWhenIdle(entry) });
    } catch (error) {
      room.leave(entry.name, false, now());
      throw error instanceof RegistryError ? error : new NoRoom();
    }
  }

  #sources(entry: Entry, reader: TransferReader): BlobSource[] {
    const { upstream, cache } = this.#parts;
    const source = (name: string, client: RepositoryClient): BlobSource => ({
      name,
      open: (request) => client.openBlob(reader.digest, { ...request, verify: false }),
    });
    const held = entry.landed ? cache(reader) : undefined;
    return [...(held === undefined ? [] : [source('cache', held)]), source(proofOf(reader), upstream(reader))];
  }

  async #prove(entry: Entry, transfer: Transfer, reader: TransferReader): Promise<void> {
    const { digest, host, path } = reader;
    const head = await this.#parts.upstream(reader).headBlob(digest);
    if (head === undefined)
      throw new RegistryError('not-found', `blob ${digest} of ${host}/${path}: status 404`, { status: 404 });
    if (head.size !== transfer.size)
      throw new RegistryError('invalid-response', `blob ${digest} of ${host}/${path} has ${head.size} bytes`);
    for (const source of this.#sources(entry, reader)) transfer.addSource(source);
    entry.proven.add(proofOf(reader));
  }

  #store(entry: Entry, reader: TransferReader): void {
    if (entry.storing || entry.landed) return;
    entry.storing = true;
    entry.holds += 1;
    const transfer = entry.transfer!;
    const source: RepositoryClient = {
      ...this.#parts.upstream(reader),
      openBlob: (_digest, request = {}) => Promise.resolve(transfer.read(request)),
    };
    void this.#parts.store(reader, transfer.size, source).then((landed) => {
      entry.landed ||= landed;
      entry.holds -= 1;
      this.#leaveWhenIdle(entry);
    });
  }

  #leaveWhenIdle(entry: Entry): void {
    if (entry.holds > 0 || (entry.transfer?.readers ?? 0) > 0 || this.#entries.get(entry.key) !== entry) return;
    this.#end(entry);
  }

  #end(entry: Entry): void {
    this.#entries.delete(entry.key);
    clearInterval(entry.beat);
    const closing = this.#leave(entry).finally(() => this.#closing.delete(entry.key));
    this.#closing.set(entry.key, closing);
  }

  async #leave(entry: Entry): Promise<void> {
    const { leases, address, room, now } = this.#parts;
    const keep = !entry.landed && entry.transfer?.ended?.code !== 'digest-mismatch';
    if (entry.transfer !== undefined) {
      // What was opened for a reader that left before it read.
      entry.transfer.end(new RegistryError('refused', 'nobody reads it any more'));
      await entry.transfer.close(keep);
      room.leave(entry.name, keep, now());
    }
    await leases.release(entry.key, address(), entry.landed);
  }
}
