import type { OnceBytes, QueueReports, ReadOnce } from '../port.ts';

/** What Redis would remember of content that is read once; whoever is first reads, the others wait for it. */
export class MemoryOnce {
  readonly #reads = new Map<string, Promise<OnceBytes>>();

  once(options: QueueReports, away: () => boolean): ReadOnce {
    return {
      read: async (key, fetch) => {
        if (away()) {
          options.missed?.('once');
          return { mine: true, ...(await fetch()) };
        }
        const running = this.#reads.get(key);
        if (running !== undefined) {
          const found = await running.catch((error: unknown) => {
            if ((error as { retry?: unknown } | null)?.retry === true) throw error;
          });
          if (found !== undefined) return { mine: false, ...found };
        }
        const asked = fetch();
        this.#reads.set(key, asked);
        try {
          return { mine: true, ...(await asked) };
        } catch (error) {
          if (this.#reads.get(key) === asked) this.#reads.delete(key);
          throw error;
        }
      },
      close: () => Promise.resolve(),
    };
  }
}
