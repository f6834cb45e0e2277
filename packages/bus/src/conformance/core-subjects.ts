import { describe, expect, it } from '@jest/globals';
import { IMAGE_USED } from '@kuik/contracts';
import type { ImageUsed } from '@kuik/contracts';
import { eventually, used } from './room.ts';
import type { Room } from './room.ts';

/** Who hears what is published, and what is dropped. */
export function describeCoreSubjects(room: Room): void {
  describe('core subjects', () => {
    it('reach every subscriber and one member of each queue', async () => {
      const [a, b, c] = [await room.connect(), await room.connect(), await room.connect()];
      const seen = { b: [] as string[], c: [] as string[], queue: [] as string[] };
      b.subscribe(IMAGE_USED, (message) => void seen.b.push(message.images[0]!));
      c.subscribe(IMAGE_USED, async (message) => void seen.c.push(message.images[0]!));
      for (const member of [b, c])
        member.subscribe(IMAGE_USED, (message) => void seen.queue.push(message.images[0]!), { queue: 'q' });
      await room.heard(a, seen.b);
      await room.heard(a, seen.c);
      seen.queue.length = 0;
      a.publish(IMAGE_USED, used('last'));
      await eventually(
        () => (seen.b.includes('last') && seen.c.includes('last') && seen.queue.includes('last')) || undefined,
      );
      expect(seen.queue.filter((image) => image === 'last')).toHaveLength(1);
    });

    it('stop when asked', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      const stopped: string[] = [];
      const seen: string[] = [];
      const subscription = b.subscribe(IMAGE_USED, (message) => void stopped.push(message.images[0]!));
      b.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!));
      await room.heard(a, stopped);
      await subscription.stop();
      a.publish(IMAGE_USED, used('later'));
      await eventually(() => seen.includes('later') || undefined);
      expect(stopped).not.toContain('later');
    });

    it('refuse a payload that does not fit, and one that is too large', async () => {
      const bus = await room.connect();
      const big = { ...used('x'), images: Array.from({ length: 200 }, () => 'x'.repeat(1000)) };
      expect(() => bus.publish(IMAGE_USED, { ...used('x'), namespace: 7 } as unknown as ImageUsed)).toThrow(
        expect.objectContaining({ code: 'invalid-payload' }),
      );
      expect(() => bus.publish(IMAGE_USED, big)).toThrow(expect.objectContaining({ code: 'too-large', retry: false }));
    });

    it.each(['not json', '{"namespace":1}', '', 'ÿ'])('drop what a stranger sent: %j', async (text) => {
      const [a, b] = [await room.connect(), await room.connect()];
      const seen: string[] = [];
      b.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!));
      await room.heard(a, seen);
      await room.bed.inject(IMAGE_USED.subject, text);
      await eventually(() => room.fates.includes(`invalid ${IMAGE_USED.subject}`) || undefined);
      expect(new Set(seen)).toEqual(new Set(['warm']));
    });

    it('survive a handler that throws', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      const seen: string[] = [];
      b.subscribe(IMAGE_USED, ({ images }) => {
        seen.push(images[0]!);
        if (images[0] === 'bad') throw new Error('a bug');
      });
      await room.heard(a, seen);
      a.publish(IMAGE_USED, used('bad'));
      a.publish(IMAGE_USED, used('good'));
      await eventually(() => seen.includes('good') || undefined);
      expect(room.fates).toContain(`failed ${IMAGE_USED.subject}`);
    });
  });
}
