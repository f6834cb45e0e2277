import { describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import type { Missed } from '../port.ts';
import type { Room } from './room.ts';

let keys = 0;
const freshKey = (): string => `registry.example:sha256:${process.pid}-${(keys += 1)}`;

/** Who owns a transfer. */
export function describeLeases(room: Room): void {
  describe('leases of transfers', () => {
    const leases = (lockMs = 60_000, missed?: (what: Missed) => void) =>
      room.keep(room.bed.createTransferLeases({ lockMs, ...(missed === undefined ? {} : { missed }) }));

    it('of many who want one, one gets it and all are told whom; it keeps it until it gives it back', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      const claims = await Promise.all(names.map((name, i) => (i % 2 === 0 ? one : two).claim(key, name)));
      const [owner] = new Set(claims.map((claim) => claim?.owner));
      expect(claims).toEqual(names.map((name) => ({ owner, landed: false, before: name === owner ? [] : [owner] })));
      await two.release(key, owner === 'f' ? 'e' : 'f', 'left');
      expect(await one.claim(key, owner!)).toEqual({ owner, landed: false, before: [] });
      expect(await two.claim(freshKey(), 'z')).toEqual({ owner: 'z', landed: false, before: [] });
      await one.release(key, owner!, 'left');
      expect(await two.claim(key, 'z')).toEqual({ owner: 'z', landed: false, before: [owner] });
    });

    it('of many who find the owner dead, one gets its lease; who names another gets nothing', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      await one.claim(key, 'dead');
      expect(await two.claim(key, 'x', 'y')).toMatchObject({ owner: 'dead' });
      const claims = await Promise.all(['b', 'c', 'd'].map((name) => two.claim(key, name, 'dead')));
      const [owner, ...others] = new Set(claims.map((claim) => claim?.owner));
      expect([['b', 'c', 'd'].includes(owner!), others]).toEqual([true, []]);
      expect(await one.claim(key, 'dead')).toMatchObject({ owner });
      await one.release(key, 'dead', 'left');
      expect(await one.claim(key, 'z')).toMatchObject({ owner });
    });

    it('an owner that falls silent loses it', async () => {
      const brief = leases(300);
      const key = freshKey();
      await brief.claim(key, 'a');
      expect(await brief.claim(key, 'b')).toMatchObject({ owner: 'a' });
      await until(async () => (await brief.claim(key, 'b'))?.owner === 'b', { what: 'the lease to end' });
      expect(await brief.claim(key, 'a')).toMatchObject({ owner: 'b' });
    });

    it('whoever owns it next is told who did before, until it landed or was found wrong', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      for (const name of ['a', 'b', 'c', 'a', 'd', 'e']) {
        await one.claim(key, name);
        await one.release(key, name, 'left');
      }
      expect((await two.claim(key, 'f'))?.before).toEqual(['e', 'd', 'a']);
      expect((await two.claim(key, 'f'))?.before).toEqual(['e', 'd', 'a']);
      expect((await two.claim(key, 'g', 'f'))?.before).toEqual(['f', 'e', 'd']);
      await two.release(key, 'g', 'wrong');
      expect(await one.claim(key, 'h')).toEqual({ owner: 'h', landed: false, before: [] });
      await one.release(key, 'h', 'landed');
      expect(await two.claim(key, 'i')).toEqual({ owner: 'i', landed: true, before: [] });
      // What landed may be wrong in the cache all the same.
      await two.release(key, 'i', 'wrong');
      expect(await one.claim(key, 'j')).toEqual({ owner: 'j', landed: false, before: [] });
    });

    it('what landed is told to whoever claims it then, also when somebody else brought it', async () => {
      const [one, two] = [leases(), leases()];
      const [key, other] = [freshKey(), freshKey()];
      await one.claim(key, 'a');
      await two.release(key, 'b', 'landed');
      expect([await two.claim(key, 'b'), await two.claim(other, 'b')]).toEqual([
        { owner: 'a', landed: true, before: [] },
        { owner: 'b', landed: false, before: [] },
      ]);
    });

    it('notes are everybody’s, the last one counts', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      expect(await two.noted(key)).toBeUndefined();
      await one.note(key, 'first');
      await two.note(key, 'second');
      expect([await one.noted(key), await one.noted(freshKey())]).toEqual(['second', undefined]);
      await one.note(key, undefined);
      expect(await two.noted(key)).toBeUndefined();
    });
  });
}
