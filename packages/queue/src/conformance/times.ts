import { describe, expect, it } from '@jest/globals';
import type { Room } from './room.ts';

/** What a time store remembers. */
export function describeTimes(room: Room): void {
  describe('times', () => {
    it('are kept by kind and id, read in the order asked, and forgotten', async () => {
      const [one, two] = [room.keep(room.bed.createTimeStore()), room.keep(room.bed.createTimeStore())];
      await one.set(
        'checked',
        Array.from({ length: 2_500 }, (_, id) => [`u${id}`, 1_000_000_000_000 + id] as const),
      );
      await one.set('pulled', new Map([['u1', 7]]));
      await one.set('checked', [['u2', 5]]);
      expect(await two.get('checked', ['u2499', 'nobody', 'u2', 'u1'])).toEqual([
        1_000_000_002_499,
        undefined,
        5,
        1_000_000_000_001,
      ]);
      expect(await two.get('pulled', ['u2', 'u1'])).toEqual([undefined, 7]);
      await two.forget('checked', ['u1', 'nobody']);
      expect(await one.get('checked', ['u1', 'u2'])).toEqual([undefined, 5]);
      expect(await one.get('pulled', ['u1'])).toEqual([7]);
      for (const nothing of [one.set('checked', []), one.forget('checked', [])]) await nothing;
      expect(await one.get('checked', [])).toEqual([]);
    });
  });
}
