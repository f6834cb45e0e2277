/* eslint-disable @typescript-eslint/require-await -- test code: handlers of asynchronous ports */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { IMAGE_SERVED, IMAGE_STATE, IMAGE_USED, HOLDERS_CONFIRM } from '@kuik/contracts';
import type { ImageServed, ImageState, ImageUsed } from '@kuik/contracts';
import type { Bus, Delivery, Entry, Fate, Verdict } from './port.ts';

/** A place where buses meet; made by the adapter's and by the twin's own test. */
export interface Bed {
  connect(count: (subject: string, fate: Fate) => void): Promise<Bus>;
  /** Raw bytes on a subject, as a stranger would send them. */
  inject(subject: string, bytes: string): Promise<void>;
  /** Every stream and bucket is lost. */
  loseData(): Promise<void>;
  deadLetters(): Promise<{ payload: unknown; reason: string }[]>;
  stop(): Promise<void>;
}

export const used = (image: string): ImageUsed => ({
  namespace: 'default',
  pullSecrets: [],
  images: [image],
  requestId: 'r',
});
export const served = (node: string): ImageServed => ({ node, since: '2026-01-01T00:00:00Z', images: [] });
export const state = (resourceVersion: string): ImageState => ({
  reference: 'docker.io/library/nginx:1',
  uid: 'u',
  resourceVersion,
});

/** Waits until `check` holds; the jest deadline bounds it. */
export async function eventually<T>(check: () => T | Promise<T | undefined> | undefined, ms = 15_000): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`never became true: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const SERVED = { ...IMAGE_SERVED, ackWaitMs: 1000, maxDeliver: 3 };

/** What every bus must do; run against real NATS and against the twin. */
export function busConformance(name: string, start: () => Promise<Bed>): void {
  describe(`${name} as a bus`, () => {
    let bed: Bed;
    const open: Bus[] = [];
    const fates: string[] = [];
    const connect = async (): Promise<Bus> => {
      const bus = await bed.connect((subject, fate) => fates.push(`${fate} ${subject}`));
      open.push(bus);
      return bus;
    };
    beforeAll(async () => {
      bed = await start();
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((bus) => bus.close()));
      await bed.loseData();
      fates.length = 0;
    });
    afterAll(() => bed.stop());

    /** Publishes until the subscriber, whose subscription travels to the server by itself, has heard one. */
    async function heard(bus: Bus, seen: unknown[]): Promise<void> {
      await eventually(() => {
        bus.publish(IMAGE_USED, used('warm'));
        return seen.length > 0 || undefined;
      });
    }

    describe('core subjects', () => {
      it('reach every subscriber and one member of each queue', async () => {
        const [a, b, c] = [await connect(), await connect(), await connect()];
        const seen = { b: [] as string[], c: [] as string[], queue: [] as string[] };
        b.subscribe(IMAGE_USED, (message) => void seen.b.push(message.images[0]!));
        c.subscribe(IMAGE_USED, async (message) => void seen.c.push(message.images[0]!));
        for (const member of [b, c])
          member.subscribe(IMAGE_USED, (message) => void seen.queue.push(message.images[0]!), { queue: 'q' });
        await heard(a, seen.b);
        await heard(a, seen.c);
        seen.queue.length = 0;
        a.publish(IMAGE_USED, used('last'));
        await eventually(
          () => (seen.b.includes('last') && seen.c.includes('last') && seen.queue.includes('last')) || undefined,
        );
        expect(seen.queue.filter((image) => image === 'last')).toHaveLength(1);
      });

      it('stop when asked', async () => {
        const [a, b] = [await connect(), await connect()];
        const stopped: string[] = [];
        const seen: string[] = [];
        const subscription = b.subscribe(IMAGE_USED, (message) => void stopped.push(message.images[0]!));
        b.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!));
        await heard(a, stopped);
        await subscription.stop();
        a.publish(IMAGE_USED, used('later'));
        await eventually(() => seen.includes('later') || undefined);
        expect(stopped).not.toContain('later');
      });

      it('refuse a payload that does not fit, and one that is too large', async () => {
        const bus = await connect();
        const big = { ...used('x'), images: Array.from({ length: 200 }, () => 'x'.repeat(1000)) };
        expect(() => bus.publish(IMAGE_USED, { ...used('x'), namespace: 7 } as unknown as ImageUsed)).toThrow(
          expect.objectContaining({ code: 'invalid-payload' }),
        );
        expect(() => bus.publish(IMAGE_USED, big)).toThrow(
          expect.objectContaining({ code: 'too-large', retry: false }),
        );
      });

      it.each(['not json', '{"namespace":1}', '', 'ÿ'])('drop what a stranger sent: %j', async (text) => {
        const [a, b] = [await connect(), await connect()];
        const seen: string[] = [];
        b.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!));
        await heard(a, seen);
        await bed.inject(IMAGE_USED.subject, text);
        await eventually(() => fates.includes(`invalid ${IMAGE_USED.subject}`) || undefined);
        expect(new Set(seen)).toEqual(new Set(['warm']));
      });

      it('survive a handler that throws', async () => {
        const [a, b] = [await connect(), await connect()];
        const seen: string[] = [];
        b.subscribe(IMAGE_USED, ({ images }) => {
          seen.push(images[0]!);
          if (images[0] === 'bad') throw new Error('a bug');
        });
        await heard(a, seen);
        a.publish(IMAGE_USED, used('bad'));
        a.publish(IMAGE_USED, used('good'));
        await eventually(() => seen.includes('good') || undefined);
        expect(fates).toContain(`failed ${IMAGE_USED.subject}`);
      });
    });

    describe('requests', () => {
      const question = { images: [{ uid: 'u', reference: 'docker.io/library/nginx:1' }] };
      const reply = { images: [{ uid: 'u', verdict: 'free' as const }] };

      it('are answered by the one who knows; the others stay silent', async () => {
        const [a, leader, follower] = [await connect(), await connect(), await connect()];
        follower.respond(HOLDERS_CONFIRM, async () => undefined);
        leader.respond(HOLDERS_CONFIRM, async (asked) => ({
          images: asked.images.map(({ uid }) => ({ uid, verdict: 'free' as const })),
        }));
        const answer = await eventually(() =>
          a.request(HOLDERS_CONFIRM, question, { timeoutMs: 500 }).catch(() => undefined),
        );
        expect(answer).toEqual(reply);
      });

      it('fail with a code when nobody is there, nobody answers, or the answer does not fit', async () => {
        const [a, b] = [await connect(), await connect()];
        const ask = (): Promise<unknown> =>
          a.request(HOLDERS_CONFIRM, question, { timeoutMs: 100 }).catch((error: unknown) => error);
        expect(await ask()).toMatchObject({ code: 'no-responders', retry: true });
        const silent = b.respond(HOLDERS_CONFIRM, async () => undefined);
        await eventually(async () => ((await ask()) as { code: string }).code === 'timeout' || undefined);
        await silent.stop();
        b.respond(HOLDERS_CONFIRM, () => Promise.reject(new Error('a bug')));
        await eventually(
          async () => (await ask()) && (fates.includes(`failed ${HOLDERS_CONFIRM.subject}`) || undefined),
        );
        await expect(a.request(HOLDERS_CONFIRM, { images: [] }, { timeoutMs: 100 })).rejects.toMatchObject({
          code: 'invalid-payload',
        });
      });
    });

    describe('durable streams', () => {
      const publish = (bus: Bus, node: string, dedupId?: string): Promise<true> =>
        eventually(() =>
          bus.publishDurable(SERVED, served(node), dedupId === undefined ? {} : { dedupId }).then(
            () => true as const,
            () => undefined,
          ),
        );

      it('deliver until acknowledged, as often as the consumer asks', async () => {
        const [a, b] = [await connect(), await connect()];
        const seen: string[] = [];
        b.consume(SERVED, 'watcher', async ({ payload, attempt }: Delivery<ImageServed>): Promise<Verdict> => {
          seen.push(`${payload.node} ${attempt}`);
          return attempt < 3 ? { do: 'retry', afterMs: 10, reason: 'later' } : { do: 'ack' };
        });
        await publish(a, 'n1');
        await eventually(() => seen.length >= 3 || undefined);
        expect(seen).toEqual(['n1 1', 'n1 2', 'n1 3']);
        expect(await bed.deadLetters()).toEqual([]);
        await eventually(() => fates.includes(`acknowledged ${SERVED.subject}`) || undefined);
      });

      it('move what is refused, or fails too often, to the dead letters with the reason', async () => {
        const [a, b] = [await connect(), await connect()];
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
          const letters = await bed.deadLetters();
          return letters.length === 2 ? letters : undefined;
        });
        expect(dead.map(({ payload, reason }) => [(payload as ImageServed).node, reason])).toEqual([
          ['refused', 'not ours'],
          ['failing', 'never works (after 3 deliveries)'],
        ]);
        expect(tries).toBe(3);
      });

      it('give each message to one member of a durable, and keep it while nobody consumes', async () => {
        const [a, b, c] = [await connect(), await connect(), await connect()];
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

      it('are made anew after the server lost them', async () => {
        const [a, b] = [await connect(), await connect()];
        const seen: string[] = [];
        b.consume(SERVED, 'watcher', async ({ payload }): Promise<Verdict> => {
          seen.push(payload.node);
          return { do: 'ack' };
        });
        await publish(a, 'before');
        await eventually(() => seen.includes('before') || undefined);
        await bed.loseData();
        await publish(a, 'after');
        await eventually(() => seen.includes('after') || undefined);
      });

      it('refuse a payload that does not fit', async () => {
        const bus = await connect();
        await expect(bus.publishDurable(SERVED, { node: 1 } as unknown as ImageServed)).rejects.toMatchObject({
          code: 'invalid-payload',
        });
      });
    });

    describe('buckets', () => {
      const KEY = 'aaaa.bbbb';

      it('are missing until their owner makes them', async () => {
        const [owner, reader] = [await connect(), await connect()];
        await expect(reader.bucket(IMAGE_STATE).get(KEY)).rejects.toMatchObject({ code: 'missing', retry: true });
        const bucket = owner.bucket(IMAGE_STATE, { create: true });
        expect(await bucket.get(KEY)).toBeUndefined();
        expect(await reader.bucket(IMAGE_STATE).get(KEY)).toBeUndefined();
      });

      it('hold one value per key', async () => {
        const bucket = (await connect()).bucket(IMAGE_STATE, { create: true });
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
        const [owner, other] = [await connect(), await connect()];
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
        const bucket = (await connect()).bucket(IMAGE_STATE, { create: true });
        await bucket.put(KEY, state('1'));
        await bucket.delete(KEY);
        expect(await bucket.compareAndSet(KEY, state('2'), 0)).toBeGreaterThan(0);
        expect(await bucket.compareAndSet(KEY, state('3'), 0)).toBeUndefined();
        expect((await bucket.get(KEY))?.value).toEqual(state('2'));
      });

      it('refuse a value that does not fit, or is too large', async () => {
        const bucket = (await connect()).bucket(IMAGE_STATE, { create: true });
        await expect(bucket.put(KEY, { uid: 1 } as unknown as ImageState)).rejects.toMatchObject({
          code: 'invalid-payload',
        });
        await expect(bucket.put(KEY, { ...state('1'), cacheTag: 'x'.repeat(9000) })).rejects.toMatchObject({
          code: 'too-large',
        });
      });

      it('tell followers what is read, never what a refused write said', async () => {
        const [owner, other] = [await connect(), await connect()];
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
        const [owner, other] = [await connect(), await connect()];
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

      it('are made anew, and their owner told, after the server lost them', async () => {
        let created = 0;
        const bucket = (await connect()).bucket(IMAGE_STATE, { create: true, onCreated: () => (created += 1) });
        await eventually(() => created > 0 || undefined);
        await bucket.put(KEY, state('1'));
        const before = created;
        await bed.loseData();
        expect(await bucket.get(KEY)).toBeUndefined();
        await bucket.put(KEY, state('2'));
        await eventually(() => created > before || undefined);
        expect((await bucket.get(KEY))?.value).toEqual(state('2'));
      });
    });

    it('ends cleanly, twice', async () => {
      const bus = await connect();
      bus.subscribe(IMAGE_USED, () => undefined);
      const consumer = bus.consume(SERVED, 'watcher', async () => ({ do: 'ack' }));
      await Promise.all([bus.close(), bus.close()]);
      await consumer.stop();
      expect(bus.status()).toBe('closed');
      bus.publish(IMAGE_USED, used('x'));
      expect(fates).toContain(`dropped ${IMAGE_USED.subject}`);
    });
  });
}
