import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { createReflector } from '../reflector.ts';
import { CACHED_IMAGES, LEASES } from '../resources.ts';
import { firstEvents } from './collect.ts';
import { image, unique, type World } from './world.ts';

/** What watches, and a reflector over them, must do. */
export function watchConformance(world: () => World): void {
  const client = () => world().client;
  const now = async () => (await client().list(CACHED_IMAGES, { limit: 1 })).resourceVersion;

  describe('watch', () => {
    it('tells what happened since a version, in order, then what happens', async () => {
      const set = unique('story');
      const resourceVersion = await now();
      await client().create(CACHED_IMAGES, image(set, {}, { set }));
      await client().mergePatch(CACHED_IMAGES, { name: set }, { spec: { retain: true } });
      const events = firstEvents<CachedImage>(
        client(),
        CACHED_IMAGES,
        { resourceVersion, labelSelector: `set=${set}` },
        3,
      );
      await client().delete(CACHED_IMAGES, { name: set });
      expect((await events).map(({ type, object }) => [type, object.spec.retain])).toEqual([
        ['ADDED', undefined],
        ['MODIFIED', true],
        ['DELETED', true],
      ]);
    });

    it('shows an object entering and leaving the selection as added and deleted', async () => {
      const set = unique('moving');
      await client().create(CACHED_IMAGES, image(set));
      const resourceVersion = await now();
      for (const value of [set, 'elsewhere']) {
        await client().mergePatch(CACHED_IMAGES, { name: set }, { metadata: { labels: { set: value } } });
      }
      const events = await firstEvents(client(), CACHED_IMAGES, { resourceVersion, labelSelector: `set=${set}` }, 2);
      expect(events.map(({ type }) => type)).toEqual(['ADDED', 'DELETED']);
    });

    it('keeps to its namespace', async () => {
      const name = unique('space');
      const { resourceVersion } = await client().list(LEASES, { limit: 1 });
      for (const namespace of ['other', 'default'])
        await client().create(LEASES, { metadata: { name, namespace }, spec: {} });
      const [event] = await firstEvents(client(), LEASES, { resourceVersion, namespace: 'default' }, 1);
      expect(event?.object.metadata.namespace).toBe('default');
    });

    it('ends after its time, without an error', async () => {
      const resourceVersion = await now();
      const startedAt = performance.now();
      let heard = 0;
      const options = { resourceVersion, timeoutSeconds: 1, labelSelector: 'none=such', onContact: () => void heard++ };
      // The API server sends its bookmarks about every minute: none is asked for here.
      for await (const event of client().watch(CACHED_IMAGES, options)) expect(event.type).toBe('BOOKMARK');
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(900);
      expect(heard).toBeGreaterThan(0);
    });

    it('fails as aborted when the caller ends it, and frees its loop', async () => {
      const ending = new AbortController();
      const options = { resourceVersion: await now(), signal: ending.signal };
      const watching = (async () => {
        for await (const _ of client().watch(CACHED_IMAGES, { ...options, onContact: () => ending.abort() }));
      })();
      await expect(watching).rejects.toMatchObject({ code: 'aborted' });
    });

    it('says gone for a version that is forgotten', async () => {
      const resourceVersion = await world().goneVersion();
      const watching = firstEvents(client(), CACHED_IMAGES, { resourceVersion, timeoutSeconds: 5 }, 1);
      await expect(watching).rejects.toMatchObject({ code: 'gone', retry: false });
    });
  });

  describe('reflector', () => {
    it('lists, follows, and tells each change once', async () => {
      const set = unique('followed');
      await client().create(CACHED_IMAGES, image(`${set}-a`, {}, { set }));
      await client().create(CACHED_IMAGES, image(`${set}-b`, {}, { set }));
      const changes: string[] = [];
      let three = (): void => undefined;
      const all = new Promise<void>((resolve) => (three = resolve));
      const reflector = createReflector<CachedImage, boolean>({
        client: client(),
        resource: CACHED_IMAGES,
        labelSelector: `set=${set}`,
        pageSize: 1,
        project: ({ spec }) => spec.retain ?? false,
        onChange: ({ name, old, now: is }) => {
          changes.push(`${name.name.slice(-1)} ${old} ${is}`);
          if (changes.length === 4) three();
        },
      });
      reflector.start();
      try {
        await reflector.whenSynced(AbortSignal.timeout(10_000));
        expect([reflector.size(), reflector.synced(), [...reflector.values()]]).toEqual([2, true, [false, false]]);
        await client().mergePatch(CACHED_IMAGES, { name: `${set}-b` }, { spec: { retain: true } });
        await client().delete(CACHED_IMAGES, { name: `${set}-a` });
        await all;
        expect(changes).toEqual(['a undefined false', 'b undefined false', 'b false true', 'a false undefined']);
        expect([reflector.get({ name: `${set}-b` }), reflector.get({ name: `${set}-a` })]).toEqual([true, undefined]);
      } finally {
        await reflector.stop();
      }
      expect(reflector.synced()).toBe(false);
    });
  });
}
