import { describe, expect, it } from '@jest/globals';
import { IMAGE_STATE } from '@kuik/contracts';
import type { ImageState } from '@kuik/contracts';
import { eventually, KEY, state } from './room.ts';
import type { Room } from './room.ts';

/** One value per key, and one winner among writers. */
export function describeBuckets(room: Room): void {
  describe('buckets', () => {
    it('are missing until their owner makes them', async () => {
      const [owner, reader] = [await room.connect(), await room.connect()];
      await expect(reader.bucket(IMAGE_STATE).get(KEY)).rejects.toMatchObject({ code: 'missing', retry: true });
      const bucket = owner.bucket(IMAGE_STATE, { create: true });
      expect(await bucket.get(KEY)).toBeUndefined();
      expect(await reader.bucket(IMAGE_STATE).get(KEY)).toBeUndefined();
    });

    it('hold one value per key', async () => {
      const bucket = (await room.connect()).bucket(IMAGE_STATE, { create: true });
      const first = await bucket.put(KEY, state('1'));
      const second = await bucket.put(KEY, state('2'));
      expect(second).toBeGreaterThan(first);
      expect(await bucket.get(KEY)).toEqual({ key: KEY, value: state('2'), revision: second });
      await bucket.put('other', state('1'));
      expect((await bucket.keys()).toSorted()).toEqual([KEY, 'other']);
      await bucket.delete('other');
      expect(await bucket.get('other')).toBeUndefined();
      expect(await bucket.keys()).toEqual([KEY]);
    });

    it('let one of two writers win', async () => {
      const [owner, other] = [await room.connect(), await room.connect()];
      const a = owner.bucket(IMAGE_STATE, { create: true });
      const b = other.bucket(IMAGE_STATE);
      await a.keys();
      const created = await Promise.all([a.compareAndSet(KEY, state('a'), 0), b.compareAndSet(KEY, state('b'), 0)]);
      expect(created.filter((revision) => revision !== undefined)).toHaveLength(1);
      const { revision } = (await a.get(KEY))!;
      const raced = await Promise.all(
        Array.from({ length: 8 }, (_, n) => (n % 2 ? a : b).compareAndSet(KEY, state(`r${n}`), revision)),
      );
      expect(raced.filter((won) => won !== undefined)).toHaveLength(1);
      expect(await a.compareAndSet(KEY, state('late'), revision)).toBeUndefined();
    });

    it('take "must not exist" of a deleted key too', async () => {
      const bucket = (await room.connect()).bucket(IMAGE_STATE, { create: true });
      await bucket.put(KEY, state('1'));
      await bucket.delete(KEY);
      expect(await bucket.compareAndSet(KEY, state('2'), 0)).toBeGreaterThan(0);
      expect(await bucket.compareAndSet(KEY, state('3'), 0)).toBeUndefined();
      expect((await bucket.get(KEY))?.value).toEqual(state('2'));
    });

    it('refuse a value that does not fit, or is too large', async () => {
      const bucket = (await room.connect()).bucket(IMAGE_STATE, { create: true });
      await expect(bucket.put(KEY, { uid: 1 } as unknown as ImageState)).rejects.toMatchObject({
        code: 'invalid-payload',
      });
      await expect(bucket.put(KEY, { ...state('1'), cacheTag: 'x'.repeat(9000) })).rejects.toMatchObject({
        code: 'too-large',
      });
    });

    it('are made anew, and their owner told, after the server lost them', async () => {
      let created = 0;
      const bucket = (await room.connect()).bucket(IMAGE_STATE, { create: true, onCreated: () => (created += 1) });
      await eventually(() => created > 0 || undefined);
      await bucket.put(KEY, state('1'));
      const before = created;
      await room.bed.loseData();
      expect(await bucket.get(KEY)).toBeUndefined();
      await bucket.put(KEY, state('2'));
      await eventually(() => created > before || undefined);
      expect((await bucket.get(KEY))?.value).toEqual(state('2'));
    });
  });
}
