import { describe, expect, it } from '@jest/globals';
import type { ImageServed } from '@kuik/contracts';
import type { Bus, Delivery, Verdict } from '../port.ts';
import { eventually, SERVED, served } from './room.ts';
import type { Room } from './room.ts';

/** Delivery until acknowledged, dead letters, streams that are made again. */
export function describeDurableStreams(room: Room): void {
  describe('durable streams', () => {
    const publish = (bus: Bus, node: string, dedupId?: string): Promise<true> =>
      eventually(() =>
        bus.publishDurable(SERVED, served(node), dedupId === undefined ? {} : { dedupId }).then(
          () => true as const,
          () => undefined,
        ),
      );

    it('deliver until acknowledged, as often as the consumer asks', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      const seen: string[] = [];
      b.consume(SERVED, 'watcher', async ({ payload, attempt }: Delivery<ImageServed>): Promise<Verdict> => {
        seen.push(`${payload.node} ${attempt}`);
        return attempt < 3 ? { do: 'retry', afterMs: 10, reason: 'later' } : { do: 'ack' };
      });
      await publish(a, 'n1');
      await eventually(() => seen.length >= 3 || undefined);
      expect(seen).toEqual(['n1 1', 'n1 2', 'n1 3']);
      expect(await room.bed.deadLetters()).toEqual([]);
      await eventually(() => room.fates.includes(`acknowledged ${SERVED.subject}`) || undefined);
    });

    it('move what is refused, or fails too often, to the dead letters with the reason', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      let tries = 0;
      b.consume(SERVED, 'watcher', async ({ payload }): Promise<Verdict> => {
        if (payload.node === 'refused') return { do: 'refuse', reason: 'not ours' };
        tries += 1;
        if (tries === 1) throw new Error('a bug');
        return { do: 'retry', afterMs: 1, reason: 'never works' };
      });
      await publish(a, 'refused');
      await publish(a, 'failing');
      const dead = await eventually(async () => {
        const letters = await room.bed.deadLetters();
        return letters.length === 2 ? letters : undefined;
      });
      expect(dead.map(({ payload, reason }) => [(payload as ImageServed).node, reason])).toEqual([
        ['refused', 'not ours'],
        ['failing', 'never works (after 3 deliveries)'],
      ]);
      expect(tries).toBe(3);
    });

    it('give each message to one member of a durable, and keep it while nobody consumes', async () => {
      const [a, b, c] = [await room.connect(), await room.connect(), await room.connect()];
      const seen: string[] = [];
      const consumer = async ({ payload }: Delivery<ImageServed>): Promise<Verdict> => {
        seen.push(payload.node);
        return { do: 'ack' };
      };
      const first = b.consume(SERVED, 'watcher', consumer);
      await publish(a, 'n1');
      await eventually(() => seen.length === 1 || undefined);
      await first.stop();
      await publish(a, 'n2', 'same');
      await publish(a, 'n2', 'same');
      b.consume(SERVED, 'watcher', consumer);
      c.consume(SERVED, 'watcher', consumer);
      await publish(a, 'n3');
      await eventually(() => seen.includes('n3') && seen.includes('n2'));
      expect(seen.toSorted()).toEqual(['n1', 'n2', 'n3']);
    });

    it('are left at once by a member that stops, and what comes after goes to the others', async () => {
      const [a, b, c] = [await room.connect(), await room.connect(), await room.connect()];
      const seen: string[] = [];
      const take =
        (who: string) =>
        async ({ payload }: Delivery<ImageServed>): Promise<Verdict> => {
          seen.push(`${who} ${payload.node}`);
          return { do: 'ack' };
        };
      const first = b.consume(SERVED, 'watcher', take('first'));
      await publish(a, 'n1');
      await eventually(() => seen.length === 1 || undefined);
      const since = performance.now();
      await first.stop();
      expect(performance.now() - since).toBeLessThan(500);
      await publish(a, 'n2');
      c.consume(SERVED, 'watcher', take('other'));
      await eventually(() => seen.length === 2 || undefined);
      expect(seen).toEqual(['first n1', 'other n2']);
    });

    it('are made anew after the server lost them', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      const seen: string[] = [];
      b.consume(SERVED, 'watcher', async ({ payload }): Promise<Verdict> => {
        seen.push(payload.node);
        return { do: 'ack' };
      });
      await publish(a, 'before');
      await eventually(() => seen.includes('before') || undefined);
      await room.bed.loseData();
      await publish(a, 'after');
      await eventually(() => seen.includes('after') || undefined);
    });

    it('refuse a payload that does not fit', async () => {
      const bus = await room.connect();
      await expect(bus.publishDurable(SERVED, { node: 1 } as unknown as ImageServed)).rejects.toMatchObject({
        code: 'invalid-payload',
      });
    });
  });
}
