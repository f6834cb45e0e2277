import { describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import type { Missed } from '../port.ts';
import type { Room } from './room.ts';

let keys = 0;
const freshKey = (): string => `registry.example:sha256:${process.pid}-${(keys += 1)}`;

/** An owner whose spool is named as it is. */
const me = (address: string, spool = `spool of ${address}`) => ({ address, spool });
const left = (address: string, upTo = 0) => ({ spool: `spool of ${address}`, upTo });

/** Who owns a transfer. */
export function describeLeases(room: Room): void {
  describe('leases of transfers', () => {
    const leases = (lockMs = 60_000, missed?: (what: Missed) => void) =>
      room.keep(room.bed.createTransferLeases({ lockMs, ...(missed === undefined ? {} : { missed }) }));

    it('of many who want one, one gets it and all are told whom; it keeps it until it gives it back', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      const claims = await Promise.all(names.map((name, i) => (i % 2 === 0 ? one : two).claim(key, me(name))));
      const [owner] = new Set(claims.map((claim) => claim?.owner));
      expect(claims).toEqual(
        names.map((name) => ({ owner, landed: false, before: name === owner ? [] : [left(owner!)] })),
      );
      await two.release(key, owner === 'f' ? 'e' : 'f', 'left');
      expect(await one.claim(key, me(owner!))).toEqual({ owner, landed: false, before: [] });
      expect(await two.claim(freshKey(), me('z'))).toEqual({ owner: 'z', landed: false, before: [] });
      await one.release(key, owner!, 'left');
      expect(await two.claim(key, me('z'))).toEqual({ owner: 'z', landed: false, before: [left(owner!)] });
    });

    it('of many who find the owner dead, one gets its lease; who names another gets nothing', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      await one.claim(key, me('dead'));
      expect(await two.claim(key, me('x'), 'y')).toMatchObject({ owner: 'dead' });
      const claims = await Promise.all(['b', 'c', 'd'].map((name) => two.claim(key, me(name), 'dead')));
      const [owner, ...others] = new Set(claims.map((claim) => claim?.owner));
      expect([['b', 'c', 'd'].includes(owner!), others]).toEqual([true, []]);
      expect(await one.claim(key, me('dead'))).toMatchObject({ owner });
      await one.release(key, 'dead', 'left');
      expect(await one.claim(key, me('z'))).toMatchObject({ owner });
    });

    it('an owner that falls silent loses it', async () => {
      const brief = leases(300);
      const key = freshKey();
      await brief.claim(key, me('a'));
      expect(await brief.claim(key, me('b'))).toMatchObject({ owner: 'a' });
      await until(async () => (await brief.claim(key, me('b')))?.owner === 'b', { what: 'the lease to end' });
      expect(await brief.claim(key, me('a'))).toMatchObject({ owner: 'b' });
    });

    it('whoever owns it next is told who did before, until it landed or was found wrong', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      for (const name of ['a', 'b', 'c', 'a', 'd', 'e']) {
        await one.claim(key, me(name));
        await one.release(key, name, 'left');
      }
      expect((await two.claim(key, me('f')))?.before).toEqual(['e', 'd', 'a'].map((name) => left(name)));
      expect((await two.claim(key, me('f')))?.before).toEqual(['e', 'd', 'a'].map((name) => left(name)));
      expect((await two.claim(key, me('g'), 'f'))?.before).toEqual(['f', 'e', 'd'].map((name) => left(name)));
      await two.release(key, 'g', 'wrong');
      expect(await one.claim(key, me('h'))).toEqual({ owner: 'h', landed: false, before: [] });
      await one.release(key, 'h', 'landed');
      expect(await two.claim(key, me('i'))).toEqual({ owner: 'i', landed: true, before: [] });
      // What landed may be wrong in the cache all the same.
      await two.release(key, 'i', 'wrong');
      expect(await one.claim(key, me('j'))).toEqual({ owner: 'j', landed: false, before: [] });
    });

    it('how far each spool came is told with it, by the spool’s name, whatever address its owner had', async () => {
      const [one, two] = [leases(), leases()];
      const key = freshKey();
      await one.claim(key, me('a', 'first'));
      await one.reached(key, 'first', 4096);
      await one.reached(key, 'first', 9000);
      expect((await two.claim(key, me('b', 'second')))?.before).toEqual([{ spool: 'first', upTo: 9000 }]);
      expect((await two.claim(key, me('b', 'second'), 'a'))?.before).toEqual([{ spool: 'first', upTo: 9000 }]);
      await two.reached(key, 'second', 10_000);
      expect(await one.claim(key, me('new address', 'first'), 'b')).toMatchObject({
        owner: 'new address',
        before: [{ spool: 'second', upTo: 10_000 }],
      });
      await one.release(key, 'new address', 'landed');
      await two.claim(key, me('b', 'first'));
      expect((await one.claim(key, me('c', 'third')))?.before).toEqual([{ spool: 'first', upTo: 0 }]);
    });

    it('a spool is where it was said to be last, until it leaves or falls silent', async () => {
      const [brief, other] = [leases(300), leases()];
      const spool = freshKey();
      expect(await other.whereIs(spool)).toBeUndefined();
      await other.settle(spool, 'a');
      await other.settle(spool, 'b');
      expect([await other.whereIs(spool), await brief.whereIs(`${spool}x`)]).toEqual(['b', undefined]);
      await other.settle(spool, undefined);
      expect(await other.whereIs(spool)).toBeUndefined();
      await brief.settle(spool, 'c');
      expect(await other.whereIs(spool)).toBe('c');
      await until(async () => (await other.whereIs(spool)) === undefined, { what: 'its silence to be noticed' });
    });

    it('what landed is told to whoever claims it then, also when somebody else brought it', async () => {
      const [one, two] = [leases(), leases()];
      const [key, other] = [freshKey(), freshKey()];
      await one.claim(key, me('a'));
      await two.release(key, 'b', 'landed');
      expect([await two.claim(key, me('b')), await two.claim(other, me('b'))]).toEqual([
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
