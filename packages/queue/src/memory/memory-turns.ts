import { TurnsOver, type TurnStore } from '../blob-turns.ts';
import type { BlobTurns, BlobTurnsOptions, QueueReports } from '../port.ts';
import { RememberedPlaces } from '../remembered-places.ts';

/** What Redis would hold of turns and places. Locks do not run out: a turn ends, or is taken from one that is said to be gone. */
export class MemoryTurns {
  readonly #places = new RememberedPlaces(Infinity);
  readonly #owners = new Map<string, string>();

  turns(options: BlobTurnsOptions & QueueReports, away: () => boolean): BlobTurns {
    return new TurnsOver(this.store(options, away), options);
  }

  store(reports: QueueReports, away: () => boolean): TurnStore {
    const ask = async <T>(call: () => T): Promise<T | undefined> => {
      await Promise.resolve();
      if (!away()) return call();
      reports.missed?.('turns');
      return undefined;
    };
    return {
      claim: (key, token, except, dead) =>
        ask(() => {
          const known = this.#places.find(key, except);
          if (known.length > 0) return { do: 'look', in: known };
          const holder = this.#owners.get(key);
          if (holder !== undefined && holder !== dead) return { do: 'wait', for: holder };
          this.#owners.set(key, token);
          return { do: 'bring' };
        }),
      renew: (key, token) =>
        ask(() => {
          if (!this.#owners.has(key)) this.#owners.set(key, token);
          return this.#owners.get(key) === token;
        }),
      release: async (key, token, landedIn) => {
        await ask(() => {
          if (this.#owners.get(key) === token) this.#owners.delete(key);
          if (landedIn !== undefined) this.#places.add(key, landedIn);
        });
      },
      remember: async (key, repository) => {
        await ask(() => this.#places.add(key, repository));
      },
      close: () => Promise.resolve(),
    };
  }
}
