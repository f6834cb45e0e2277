import { describe, expect, it } from '@jest/globals';
import { IMAGE_STATE } from '@kuik/contracts';
import type { ImageState } from '@kuik/contracts';
import type { Entry } from '../port.ts';
import { eventually, KEY, state } from './room.ts';
import type { Room } from './room.ts';

/** What those who follow a key are told. */
export function describeFollowers(room: Room): void {
  describe('buckets', () => {
    it('tell followers what is read, never what a refused write said', async () => {
      const [owner, other] = [await room.connect(), await room.connect()];
      const bucket = owner.bucket(IMAGE_STATE, { create: true });
      await bucket.put(KEY, state('1'));
      const told: string[] = [];
      const follower = other
        .bucket(IMAGE_STATE)
        .follow((key, entry: Entry<ImageState> | undefined) =>
          told.push(`${key} ${entry?.value.resourceVersion ?? 'gone'}`),
        );
      follower.add(KEY);
      follower.add(KEY);
      follower.add('absent');
      await eventually(() => told.length >= 2 || undefined);
      expect(told.toSorted()).toEqual([`${KEY} 1`, 'absent gone']);
      await bucket.compareAndSet(KEY, state('refused'), 999);
      await bucket.put(KEY, state('2'));
      await eventually(() => told.includes(`${KEY} 2`) || undefined);
      await bucket.delete(KEY);
      await eventually(() => told.includes(`${KEY} gone`) || undefined);
      expect(told.join()).not.toContain('refused');
      follower.remove('absent');
      await bucket.put('absent', state('9'));
      await bucket.put(KEY, state('3'));
      await eventually(() => told.includes(`${KEY} 3`) || undefined);
      expect(told).not.toContain('absent 9');
      await follower.stop();
    });

    it('end a storm of writes with the last value', async () => {
      const [owner, other] = [await room.connect(), await room.connect()];
      const bucket = owner.bucket(IMAGE_STATE, { create: true });
      await bucket.keys();
      const told: (string | undefined)[] = [];
      other
        .bucket(IMAGE_STATE)
        .follow((_, entry) => told.push(entry?.value.resourceVersion))
        .add(KEY);
      await eventually(() => told.length > 0 || undefined);
      for (let n = 1; n <= 200; n++) await bucket.put(KEY, state(String(n)));
      await eventually(() => told.at(-1) === '200' || undefined);
      expect(told.slice(1).map(Number)).toEqual(
        told
          .slice(1)
          .map(Number)
          .toSorted((a, b) => a - b),
      );
    });
  });
}
