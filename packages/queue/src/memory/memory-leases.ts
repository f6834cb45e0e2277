import { COPY_QUEUE } from '@kuik/contracts';
import type { QueueReports, TransferLeases, TransferLeasesOptions } from '../port.ts';

const LANDED_MS = 60_000;

/** What Redis would hold of transfers: their owners, what landed lately, and notes. Leases run out by `now` (ms). */
export class MemoryLeases {
  readonly #now: () => number;
  readonly #owners = new Map<string, { readonly owner: string; readonly untilMs: number }>();
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
          if (owner === address) this.#owners.set(key, { owner, untilMs: this.#now() + lockMs });
          return { owner, landed: (this.#landedUntilMs.get(key) ?? -Infinity) > this.#now() };
        }),
      release: async (key, address, landed) => {
        await ask(() => {
          if (this.#owners.get(key)?.owner === address) this.#owners.delete(key);
          if (landed) this.#landedUntilMs.set(key, this.#now() + LANDED_MS);
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
