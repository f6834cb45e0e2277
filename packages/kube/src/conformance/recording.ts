import { describe, expect, it } from '@jest/globals';
import { createEventRecorder } from '../event-recorder.ts';
import type { KubeObject } from '../port.ts';
import { CACHED_IMAGES, EVENTS } from '../resources.ts';
import { image, unique, type World } from './world.ts';

interface EventObject extends KubeObject {
  type: string;
  reason: string;
  note: string;
  reportingController: string;
  regarding: { kind: string; name: string; uid: string };
  series?: { count: number; lastObservedTime: string };
}

/** What the event recorder must do. */
export function recordingConformance(world: () => World): void {
  const recorder = (options: object = {}) => {
    const errors: unknown[] = [];
    const made = createEventRecorder({
      client: world().client,
      controller: 'kuik.enix.io/gc',
      instance: 'gc-0',
      delayMs: 60_000,
      onError: (error) => errors.push(error),
      ...options,
    });
    return { recorder: made, errors };
  };
  const eventsOf = async (name: string) =>
    (await world().client.list<EventObject>(EVENTS, { namespace: 'default' })).items.filter(
      ({ regarding }) => regarding.name === name,
    );

  describe('events', () => {
    it('are folded by object, reason and message, and counted', async () => {
      const name = unique('noisy');
      const object = await world().client.create<KubeObject>(CACHED_IMAGES, image(name));
      const { recorder: events, errors } = recorder();
      events.event(object, 'Warning', 'CopyFailed', 'upstream answers 500');
      events.event(object, 'Normal', 'Copied', 'copied 3 blobs');
      events.event(object, 'Warning', 'CopyFailed', 'upstream answers 500');
      await events.flush();
      for (let i = 0; i < 3; i++) events.event(object, 'Warning', 'CopyFailed', 'upstream answers 500');
      events.event(object, 'Warning', 'CopyFailed', 'upstream answers 404');
      await events.close();
      expect(errors).toEqual([]);
      const found = await eventsOf(name);
      expect(found.map(({ type, note, series }) => [type, note, series?.count]).sort()).toEqual([
        ['Normal', 'copied 3 blobs', undefined],
        ['Warning', 'upstream answers 404', undefined],
        ['Warning', 'upstream answers 500', 5],
      ]);
      const { uid } = object.metadata;
      expect(found[0]).toMatchObject({
        metadata: { namespace: 'default' },
        reportingController: 'kuik.enix.io/gc',
        regarding: { kind: 'CachedImage', name, uid },
      });
    });

    it('begin anew after the window, and when the server forgot the first', async () => {
      const name = unique('again');
      const object = await world().client.create<KubeObject>(CACHED_IMAGES, image(name));
      const short = recorder({ windowMs: 0 });
      short.recorder.event(object, 'Normal', 'Kept', 'still used');
      short.recorder.event(object, 'Normal', 'Kept', 'still used');
      await short.recorder.close();
      expect((await eventsOf(name)).map(({ series }) => series)).toEqual([undefined, undefined]);

      const long = recorder();
      long.recorder.event(object, 'Normal', 'Removed', 'unused');
      await long.recorder.flush();
      for (const { metadata } of await eventsOf(name)) {
        await world().client.delete(EVENTS, { name: metadata.name, namespace: 'default' });
      }
      long.recorder.event(object, 'Normal', 'Removed', 'unused');
      await long.recorder.close();
      expect((await eventsOf(name)).map(({ reason, series }) => [reason, series?.count])).toEqual([['Removed', 2]]);
      expect([...short.errors, ...long.errors]).toEqual([]);
    });

    it('of any length are taken', async () => {
      const name = unique('long').padEnd(253, 'x');
      const object = await world().client.create<KubeObject>(CACHED_IMAGES, image(name));
      const { recorder: events, errors } = recorder({ instance: 'i'.repeat(300) });
      events.event(object, 'Normal', 'Copied', 'ü'.repeat(2_000));
      await events.close();
      expect(errors).toEqual([]);
      const [event] = await eventsOf(name);
      expect(Buffer.byteLength(event?.note ?? '')).toBeLessThanOrEqual(1024);
      expect(event?.note).toMatch(/^ü+…$/);
    });
  });
}
