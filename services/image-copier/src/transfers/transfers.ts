import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferLeases, TransferOwnerName } from '@kuik/queue';
import { RegistryError, type OpenBlob, type RepositoryClient } from '@kuik/registry';
import { Admission, newEntry, NoRoom, type AdmissionParts, type Entry } from './admission.ts';
import { openLeft } from './left-spool.ts';
import type { TransferReader } from './proof.ts';

/** The bytes, or the address of the process that has them. */
export type Joined = { readonly blob: OpenBlob } | { readonly at: string };

export interface TransfersParts extends AdmissionParts {
  readonly leases: TransferLeases;
  /** Our own, as others reach it. */
  readonly address: () => string;
  /** Whether the process at this address answers. */
  readonly alive: (address: string) => Promise<boolean>;
  /** Brings the blob into the cache from this source; true when it is there. Never throws. */
  readonly store: (reader: TransferReader, size: number, source: RepositoryClient) => Promise<boolean>;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
}

/** What the cache holds with wrong bytes is looked at there again after this long: somebody may have mended it. */
const DISTRUSTED_MS = 3_600_000;
const DISTRUSTED_MAX = 1_000;

const moved = (): RegistryError => new RegistryError('refused', 'this transfer has another owner now');

/** All transfers of this process; who else owns one is asked of the leases. The protocol is docs/transfers.md. */
export class Transfers {
  readonly #parts: TransfersParts;
  readonly #admission: Admission;
  readonly #entries = new Map<string, Entry>();
  readonly #claims = new Map<string, Promise<Entry | { at: string }>>();
  readonly #closing = new Map<string, Promise<void>>();
  /** How many copies of ours bring a blob right now. */
  readonly #bringing = new Map<string, number>();
  /** Keys of what was wrong in the cache, and until when that counts. */
  readonly #distrusted = new Map<string, number>();
  readonly #sweep: NodeJS.Timeout;
  #closed = false;

  constructor(parts: TransfersParts, sweepMs = 60_000) {
    this.#parts = parts;
    this.#admission = new Admission(parts, {
      lives: (entry) => this.#entries.get(entry.key) === entry,
      onUnkept: (error) => {
        parts.room.full(parts.now());
        parts.log.warn('spool takes no more: for a minute nothing new is shared', { folder: parts.room.folder, error });
      },
      onIdle: (entry) => this.#leaveWhenIdle(entry),
    });
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
    let noRoom = false;
    try {
      await this.#admission.admit(entry, reader);
      const transfer = entry.transfer!;
      if (this.#closed) transfer.end(new RegistryError('refused', 'this process ends'));
      if (transfer.ended !== undefined) throw transfer.ended;
      const blob = transfer.read(reader);
      if (reader.store) this.#store(entry, reader);
      return { blob };
    } catch (error) {
      noRoom = error instanceof NoRoom;
      throw error;
    } finally {
      entry.holds -= 1;
      this.#leaveWhenIdle(entry);
      // Its reader goes to another copier, which is to find it without an owner.
      if (noRoom) await this.#closing.get(entry.key);
    }
  }

  /**
   * A copy of ours begins to bring the blob into the cache: its transfer stays until the copy has ended, whoever reads it. Returns what is to be
   * told then, whether it landed.
   */
  bringing({ host, digest }: Pick<TransferReader, 'host' | 'digest'>): (landed: boolean) => void {
    const key = `${host}:${digest}`;
    this.#bringing.set(key, (this.#bringing.get(key) ?? 0) + 1);
    return (landed) => {
      const others = this.#bringing.get(key)! - 1;
      if (others > 0) this.#bringing.set(key, others);
      else this.#bringing.delete(key);
      const entry = this.#entries.get(key);
      if (entry === undefined) return;
      entry.landed ||= landed;
      this.#leaveWhenIdle(entry);
    };
  }

  /**
   * What this process left of a blob on its disk, from the byte on: for whoever owns its transfer now. Undefined when that byte is not there; it breaks
   * off where what is there ends.
   */
  left({
    host,
    digest,
    ...wanted
  }: Pick<TransferReader, 'host' | 'digest' | 'offset' | 'end'>): Promise<OpenBlob | undefined> {
    return openLeft({ ...this.#parts, key: `${host}:${digest}` }, wanted);
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
    const { leases, alive } = this.#parts;
    const me = this.#name();
    let claim = await leases.claim(key, me);
    // A dead owner's lease runs out by itself, but somebody is waiting for his bytes.
    if (claim !== undefined && claim.owner !== me.address && !(await alive(claim.owner)))
      claim = await leases.claim(key, me, claim.owner);
    if (claim !== undefined && claim.owner !== me.address) return { at: claim.owner };
    if (this.#closed) {
      await leases.release(key, me.address, 'left');
      throw new RegistryError('refused', 'this process ends');
    }
    const distrusted = (this.#distrusted.get(key) ?? -Infinity) > this.#parts.now();
    const entry = newEntry(key, { landed: false, before: [], ...claim, distrusted });
    entry.beat = setInterval(() => void this.#renew(entry), leases.lockMs / 3).unref();
    this.#entries.set(key, entry);
    this.#parts.log.debug('transfer begins', { digest, key });
    return entry;
  }

  #name(): TransferOwnerName {
    return { address: this.#parts.address(), spool: this.#parts.room.name };
  }

  async #renew(entry: Entry): Promise<void> {
    const { leases, log } = this.#parts;
    const me = this.#name();
    const claim = await leases.claim(entry.key, me);
    if (claim === undefined || claim.owner === me.address || this.#entries.get(entry.key) !== entry) return;
    log.debug('transfer has another owner', { key: entry.key, owner: claim.owner });
    clearInterval(entry.beat);
    entry.transfer?.end(moved());
    this.#leaveWhenIdle(entry);
  }

  #store(entry: Entry, reader: TransferReader): void {
    if (entry.storing || entry.landed || entry.fromCache || entry.distrusted) return;
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
    const { key, holds, transfer } = entry;
    if (holds > 0 || (transfer?.readers ?? 0) > 0 || this.#entries.get(key) !== entry) return;
    const over = this.#closed || transfer === undefined || transfer.ended !== undefined;
    if (over || !this.#bringing.has(key)) this.#end(entry);
  }

  #end(entry: Entry): void {
    this.#entries.delete(entry.key);
    clearInterval(entry.beat);
    const closing = this.#leave(entry).finally(() => this.#closing.delete(entry.key));
    this.#closing.set(entry.key, closing);
  }

  #distrust(key: string): void {
    if (this.#distrusted.size >= DISTRUSTED_MAX) this.#distrusted.delete(this.#distrusted.keys().next().value!);
    this.#distrusted.set(key, this.#parts.now() + DISTRUSTED_MS);
  }

  async #leave(entry: Entry): Promise<void> {
    const { leases, address, room, now } = this.#parts;
    const wrong = entry.transfer?.ended?.code === 'digest-mismatch';
    const landed = entry.landed || entry.fromCache;
    const keep = !landed && !wrong && entry.transfer?.unkept !== true;
    if (wrong && entry.fromCache) this.#distrust(entry.key);
    if (entry.transfer !== undefined) {
      // What was opened for a reader that left before it read.
      entry.transfer.end(new RegistryError('refused', 'nobody reads it any more'));
      await entry.transfer.close(keep);
      room.leave(entry.name, keep, now());
    }
    await leases.release(entry.key, address(), wrong ? 'wrong' : landed ? 'landed' : 'left');
  }
}
