import { describe, expect, it, jest } from '@jest/globals';
import { createEventRecorder } from './event-recorder.ts';
import { memoryKube } from './memory/index.ts';
import type { KubeObject } from './port.ts';
import { EVENTS } from './resources.ts';
import { until } from './testing/until.ts';

const object = (name: string): KubeObject => ({
  kind: 'CachedImage',
  metadata: { name, uid: name, resourceVersion: '1' },
});

describe('the event recorder', () => {
  it('tries again what the server was too busy for', async () => {
    const client = memoryKube();
    const errors: unknown[] = [];
    const recorder = createEventRecorder({
      client,
      controller: 'kuik.enix.io/gc',
      instance: 'gc-0',
      delayMs: 1,
      onError: (e) => errors.push(e),
    });
    client.failNext('too-many-requests', { verb: 'create', times: 2 });
    recorder.event(object('a'), 'Normal', 'Kept', 'still used');
    recorder.event(object('b'), 'Normal', 'Kept', 'still used');
    await until(() => client.objects(EVENTS).length === 2, { what: 'two events' });
    expect(errors).toEqual([]);
    expect(client.calls.filter(({ verb }) => verb === 'create')).toHaveLength(4);
    await recorder.close();
  });

  it('reports what the server refuses, and goes on', async () => {
    const client = memoryKube();
    const errors: unknown[] = [];
    const onError = (error: unknown): void => {
      errors.push(error);
      throw new Error('not even this escapes');
    };
    const recorder = createEventRecorder({ client, controller: 'c', instance: 'i', onError });
    client.failNext('forbidden', { verb: 'create' });
    recorder.event(object('a'), 'Normal', 'Kept', 'refused');
    recorder.event(object('b'), 'Normal', 'Kept', 'taken');
    await recorder.close();
    expect(errors).toMatchObject([{ code: 'forbidden' }]);
    expect(client.objects(EVENTS)).toMatchObject([{ note: 'taken' }]);
    recorder.event(object('c'), 'Normal', 'Kept', 'after the end');
    await recorder.flush();
    expect(client.objects(EVENTS)).toHaveLength(1);
  });

  it('drops none of the thousands that are said at once', async () => {
    const client = memoryKube();
    const errors: unknown[] = [];
    const recorder = createEventRecorder({
      client,
      controller: 'c',
      instance: 'i',
      delayMs: 60_000,
      onError: (error) => errors.push(error),
    });
    for (let index = 0; index < 3_000; index += 1) recorder.event(object(`i${index}`), 'Normal', 'Copied', 'x');
    await recorder.flush();
    expect(errors).toEqual([]);
    expect(client.objects(EVENTS)).toHaveLength(3_000);
    await recorder.close();
  });

  it('folds what is said again each half hour into one event with a count', async () => {
    const client = memoryKube();
    const recorder = createEventRecorder({ client, controller: 'c', instance: 'i', delayMs: 60_000 });
    const clock = jest.spyOn(performance, 'now');
    try {
      for (const minutes of [0, 30, 60, 90]) {
        clock.mockReturnValue(minutes * 60_000);
        recorder.event(object('a'), 'Warning', 'CopyFailed', 'x');
      }
    } finally {
      clock.mockRestore();
    }
    await recorder.close();
    expect(client.objects(EVENTS)).toMatchObject([{ series: { count: 4 } }]);
  });

  it('lets something more urgent go first, for a while, and warnings and the end wait for nothing', async () => {
    const client = memoryKube();
    let [busy, asked] = [true, 0];
    const holds = () => ((asked += 1), busy);
    const made = () => client.objects<KubeObject & { note: string }>(EVENTS).map(({ note }) => note);
    const start = () => createEventRecorder({ client, controller: 'c', instance: 'i', delayMs: 1, holds });
    const recorder = start();
    recorder.event(object('a'), 'Normal', 'Copied', 'a');
    await until(() => asked > 1, { what: 'it to be held' });
    expect(made()).toEqual([]);
    busy = false;
    await until(() => made().length === 1, { what: 'it to be written' });
    busy = true;
    recorder.event(object('b'), 'Normal', 'Copied', 'b');
    recorder.event(object('c'), 'Warning', 'CopyFailed', 'c');
    await until(() => made().length === 3, { what: 'the warning, and what waits with it' });
    recorder.event(object('d'), 'Normal', 'Copied', 'd');
    await recorder.close();
    expect(made()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('drops, and says so, when too many wait', async () => {
    const client = memoryKube();
    const errors: Error[] = [];
    const options = {
      controller: 'c',
      instance: 'i',
      maxPending: 2,
      delayMs: 60_000,
      onError: (e: unknown) => errors.push(e as Error),
    };
    const recorder = createEventRecorder({ client, ...options });
    for (const name of ['a', 'b', 'c']) recorder.event(object(name), 'Normal', 'Kept', 'x');
    recorder.event(object('a'), 'Normal', 'Kept', 'x');
    expect(errors.map(({ message }) => message)).toEqual(['dropped event Kept on c: 2 others wait to be written']);
    await recorder.close();
    expect(
      client.objects<KubeObject & { series?: { count: number } }>(EVENTS).map(({ series }) => series?.count),
    ).toEqual(expect.arrayContaining([2, undefined]));
  });
});
