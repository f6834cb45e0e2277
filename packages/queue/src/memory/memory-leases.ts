import { COPY_QUEUE } from '@kuik/contracts';
import { formerOwners } from '../former-owners.ts';
import type { QueueReports, TransferLeases, TransferLeasesOptions } from '../port.ts';

const LANDED_MS = 60_000;

/** What Redis would hold of transfers: their owners, what landed lately, and notes. Leases run out by `now` (ms). */
export class MemoryLeases {
  readonly #now: () => number;
  readonly #owners = new Map<string, { readonly owner: string; readonly untilMs: number }>();
  /** Everybody who ever owned it, the latest first; Redis forgets after an hour. */
  readonly #ownedBy = new Map<string, readonly string[]>();
  readonly #landedUntilMs = new Map<string, number>();
  readonly #notes = new Map<string, string>();

  constructor(now: () => number) {
    this.#now = now;
  }

  leases(
    { lockMs = COPY_QUEUE.lockMs, missed }: TransferLeasesOptions & QueueReports,
    away: () => boolean,
  ): TransferLeases {
    const ask = async <T>(call: () => T): Promise<T | undefined> => {
      await Promise.resolve();
      if (!away()) return call();
      missed?.('transfers');
      return undefined;
    };
    return {
      lockMs,
      claim: (key, address, dead) =>
        ask(() => {
          const held = this.#owners.get(key);
          const lives = held !== undefined && held.untilMs > this.#now();
          const owner = lives && held.owner !== dead ? held.owner : address;
          const before = formerOwners(this.#ownedBy.get(key) ?? [], address);
          if (owner === address) {
            this.#owners.set(key, { owner, untilMs: this.#now() + lockMs });
            this.#ownedBy.set(key, [owner, ...before]);
          }
          return { owner, landed: (this.#landedUntilMs.get(key) ?? -Infinity) > this.#now(), before };
        }),
      release: async (key, address, end) => {
        await ask(() => {
          if (this.#owners.get(key)?.owner === address) this.#owners.delete(key);
          if (end === 'wrong') this.#landedUntilMs.delete(key);
          if (end === 'landed') this.#landedUntilMs.set(key, this.#now() + LANDED_MS);
          if (end !== 'left') this.#ownedBy.delete(key);
        });
      },
      note: async (key, text) => {
        await ask(() => (text === undefined ? this.#notes.delete(key) : this.#notes.set(key, text)));
      },
      noted: (key) => ask(() => this.#notes.get(key)),
      close: () => Promise.resolve(),
    };
  }
}
