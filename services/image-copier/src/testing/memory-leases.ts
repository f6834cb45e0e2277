import type { TransferLeases } from '@kuik/queue';

/** What Redis holds of leases, for tests of many copiers in one process; `now` is ms. */
export function memoryLeases(lockMs: number, now: () => number): TransferLeases {
  const owners = new Map<string, { owner: string; untilMs: number }>();
  const [landed, notes] = [new Set<string>(), new Map<string, string>()];
  return {
    lockMs,
    async claim(key, address, dead) {
      await Promise.resolve();
      const held = owners.get(key);
      const theirs = held !== undefined && held.untilMs > now() && held.owner !== address && held.owner !== dead;
      if (!theirs) owners.set(key, { owner: address, untilMs: now() + lockMs });
      return { owner: theirs ? held.owner : address, landed: landed.has(key) };
    },
    async release(key, address, didLand) {
      await Promise.resolve();
      if (owners.get(key)?.owner === address) owners.delete(key);
      if (didLand) landed.add(key);
    },
    async note(key, text) {
      await Promise.resolve();
      if (text === undefined) notes.delete(key);
      else notes.set(key, text);
    },
    async noted(key) {
      await Promise.resolve();
      return notes.get(key);
    },
    close: () => Promise.resolve(),
  };
}
