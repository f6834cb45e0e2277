import { payerKey } from '../pace.ts';
import type { OnceBytes, QueueReports, ReadOnce } from '../port.ts';

/** What Redis would remember of content that is read once; whoever is first reads, the others wait for it. */
export class MemoryOnce {
  readonly #reads = new Map<string, { readonly payer: string; readonly found: Promise<OnceBytes> }>();

  once(options: QueueReports, away: () => boolean): ReadOnce {
    return {
      read: async (key, of, fetch) => {
        const payer = payerKey(of);
        if (away()) {
          options.missed?.('once');
          return { mine: true, ...(await fetch()) };
        }
        const running = this.#reads.get(key);
        if (running !== undefined) {
          const found = await running.found.catch((error: unknown) => {
            if (running.payer === payer && (error as { retry?: unknown } | null)?.retry === true) throw error;
          });
          if (found !== undefined) return { mine: false, ...found };
        }
        const asked = { payer, found: fetch() };
        this.#reads.set(key, asked);
        try {
          return { mine: true, ...(await asked.found) };
        } catch (error) {
          if (this.#reads.get(key) === asked) this.#reads.delete(key);
          throw error;
        }
      },
      close: () => Promise.resolve(),
    };
  }
}
