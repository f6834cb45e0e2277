import { COPY_QUEUE } from '@kuik/contracts';
import { formerOwners } from '../former-owners.ts';
import type { QueueReports, TransferLeases, TransferLeasesOptions } from '../port.ts';

const LANDED_MS = 60_000;

/** What Redis would hold of transfers: their owners, what landed lately, and notes. Leases run out by `now` (ms). */
export class MemoryLeases {
  readonly #now: () => number;
  readonly #owners = new Map<string, { readonly owner: string; readonly untilMs: number }>();
  /** The spools of everybody who ever owned it, the latest first; Redis forgets after an hour. */
  readonly #spools = new Map<string, readonly string[]>();
  /** How far each of them came. */
  readonly #reached = new Map<string, Map<string, number>>();
  readonly #places = new Map<string, { readonly address: string; readonly untilMs: number }>();
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
      claim: (key, { address, spool }, dead) =>
        ask(() => {
          const held = this.#owners.get(key);
          const lives = held !== undefined && held.untilMs > this.#now();
          const owner = lives && held.owner !== dead ? held.owner : address;
          const former = formerOwners(this.#spools.get(key) ?? [], spool);
          if (owner === address) {
            this.#owners.set(key, { owner, untilMs: this.#now() + lockMs });
            this.#spools.set(key, [spool, ...former]);
          }
          const upTo = (of: string): number => this.#reached.get(key)?.get(of) ?? 0;
          const before = former.map((of) => ({ spool: of, upTo: upTo(of) }));
          return { owner, landed: (this.#landedUntilMs.get(key) ?? -Infinity) > this.#now(), before };
        }),
      reached: async (key, spool, upTo) => {
        await ask(() => this.#reached.set(key, new Map(this.#reached.get(key)).set(spool, upTo)));
      },
      settle: async (spool, address) => {
        await ask(() => {
          if (address === undefined) this.#places.delete(spool);
          else this.#places.set(spool, { address, untilMs: this.#now() + lockMs });
        });
      },
      whereIs: (spool) =>
        ask(() => {
          const place = this.#places.get(spool);
          return place !== undefined && place.untilMs > this.#now() ? place.address : undefined;
        }),
      release: async (key, address, end) => {
        await ask(() => {
          if (this.#owners.get(key)?.owner === address) this.#owners.delete(key);
          if (end === 'wrong') this.#landedUntilMs.delete(key);
          if (end === 'landed') this.#landedUntilMs.set(key, this.#now() + LANDED_MS);
          if (end === 'left') return;
          this.#spools.delete(key);
          this.#reached.delete(key);
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
