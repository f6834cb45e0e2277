import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Room } from './room.ts';

let keys = 0;

/** Steps of a few processes over one turn; whoever says that another is dead may be wrong, or late. */
const step = fc.oneof(
  fc.record({ do: fc.constant('claim' as const), by: fc.nat(3), dead: fc.option(fc.nat(3), { nil: undefined }) }),
  fc.record({ do: fc.constant('renew' as const), by: fc.nat(3) }),
  fc.record({ do: fc.constant('release' as const), by: fc.nat(3) }),
);

/** What the turns are made over, whoever dies, or is taken for dead, in whatever order. */
export function describeTurnStore(room: Room): void {
  describe('the store of turns', () => {
    it('has one holder at a time: the first, then who ends or takes it from the very one that it named', async () => {
      const store = room.keep(room.bed.createTurnStore());
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const key = `registry.example:sha256:${process.pid}-${(keys += 1)}`;
          let holder: string | undefined;
          for (const each of steps) {
            const token = `copier-${each.by} turn`;
            if (each.do === 'claim') {
              const dead = each.dead === undefined ? undefined : `copier-${each.dead} turn`;
              const free = holder === undefined || holder === dead;
              const told = await store.claim(key, token, [], dead);
              expect(told).toEqual(free ? { do: 'bring' } : { do: 'wait', for: holder });
              if (free) holder = token;
            } else if (each.do === 'renew') {
              // A turn that ended and that nobody took may be kept: its work is not over.
              expect(await store.renew(key, token)).toBe(holder === undefined || holder === token);
              holder ??= token;
            } else {
              await store.release(key, token, undefined);
              if (holder === token) holder = undefined;
            }
          }
        }),
        { numRuns: 25 },
      );
    });

    it('gives the turn of one that is gone to one of all who say so at the same time', async () => {
      const stores = [1, 2].map(() => room.keep(room.bed.createTurnStore()));
      const key = `registry.example:sha256:${process.pid}-${(keys += 1)}`;
      await stores[0]!.claim(key, 'gone 1', []);
      const claims = await Promise.all(
        ['a', 'b', 'c', 'd'].map((name, i) => stores[i % 2]!.claim(key, `${name} 1`, [], 'gone 1')),
      );
      expect(claims.filter((claim) => claim?.do === 'bring')).toHaveLength(1);
      await stores[1]!.release(key, 'gone 1', 'gone/app');
      expect(await stores[0]!.claim(key, 'e 1', [])).toEqual({ do: 'look', in: ['gone/app'] });
      expect(await stores[0]!.claim(key, 'e 1', ['gone/app'])).toMatchObject({ do: 'wait' });
    });
  });
}
