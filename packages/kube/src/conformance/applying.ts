import { describe, expect, it } from '@jest/globals';
import { FIELD_MANAGERS, type CachedImage } from '@kuik/contracts';
import { CACHED_IMAGES } from '../resources.ts';
import { ordersOf } from './collect.ts';
import { image, unique, type World } from './world.ts';

const AT = '2026-01-02T03:04:05Z';

/** One status stanza per field manager, as our services write them. */
function stanzas(forUid: string): Record<'description' | 'cache' | 'upstream' | 'removal', object> {
  const condition = { type: 'Ready', status: 'True', reason: 'Copied', message: 'all is well', lastTransitionTime: AT };
  return {
    description: {
      usedBy: { forUid, count: 2 },
      pullSecrets: [{ namespace: 'a', name: 'regcred' }],
      phase: 'Ready',
      conditions: [condition],
      isCached: true,
    },
    cache: { cache: { forUid, digest: 'sha256:1', platforms: ['linux/amd64', 'linux/arm64'] } },
    upstream: { upstream: { forUid, state: 'Available', lastSeen: AT } },
    removal: { removal: { forUid, condemnedAt: AT, reason: 'Expired', epoch: 1 } },
  };
}

type Manager = keyof ReturnType<typeof stanzas>;
const MANAGERS = ['description', 'cache', 'upstream', 'removal'] as const satisfies Manager[];

/** What server-side apply must do for one-writer-per-stanza to hold. */
export function applyConformance(world: () => World): void {
  const client = () => world().client;
  const applyStatus = (name: string, manager: Manager, status: object) =>
    client().apply<CachedImage>(
      CACHED_IMAGES,
      { name },
      { status },
      { fieldManager: FIELD_MANAGERS[manager], subresource: 'status' },
    );

  describe('apply', () => {
    it('creates what is not there, and repeats without a new version', async () => {
      const name = unique('applied');
      const patch = { metadata: { labels: { a: 'b' } }, spec: { sourceImage: 'docker.io/library/redis:8' } };
      const apply = () => client().apply<CachedImage>(CACHED_IMAGES, { name }, patch, { fieldManager: 'one' });
      const made = await apply();
      expect(made).toMatchObject({ metadata: { name, labels: { a: 'b' } }, spec: patch.spec });
      expect((await apply()).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    });

    it('removes what its manager leaves out, keeps what others own', async () => {
      const name = unique('shared');
      const apply = (fieldManager: string, patch: object) =>
        client().apply<CachedImage>(CACHED_IMAGES, { name }, patch, { fieldManager });
      const spec = { sourceImage: 'docker.io/library/redis:8' };
      await apply('one', { metadata: { labels: { mine: '1', common: 'x' }, finalizers: ['a.io/one'] }, spec });
      await apply('two', { metadata: { labels: { theirs: '2', common: 'x' }, finalizers: ['b.io/two'] } });
      const after = await apply('one', { spec });
      expect(after.metadata.labels).toEqual({ theirs: '2', common: 'x' });
      expect(after.metadata.finalizers).toEqual(['b.io/two']);
      expect(after.spec).toEqual(spec);
      await client().mergePatch(CACHED_IMAGES, { name }, { metadata: { finalizers: null } });
    });

    it('takes a field of another value by force, and then owns it', async () => {
      const name = unique('forced');
      const apply = (fieldManager: string, labels: object) =>
        client().apply<CachedImage>(
          CACHED_IMAGES,
          { name },
          { metadata: { labels }, spec: { sourceImage: 'docker.io/library/redis:8' } },
          { fieldManager },
        );
      await apply('one', { color: 'red' });
      expect((await apply('two', { color: 'blue' })).metadata.labels).toEqual({ color: 'blue' });
      await apply('three', { shape: 'round' });
      const withoutTwo = await apply('two', {});
      expect(withoutTwo.metadata.labels).toEqual({ shape: 'round' });
    });

    it('leaves to the status subresource the status alone', async () => {
      const name = unique('narrow');
      await client().create(CACHED_IMAGES, image(name));
      const patch = { spec: { retain: true }, metadata: { labels: { x: 'y' } }, status: { phase: 'Ready' } };
      const options = { fieldManager: 'one', subresource: 'status' } as const;
      const after = await client().apply<CachedImage>(CACHED_IMAGES, { name }, patch, options);
      expect([after.spec.retain, after.status?.phase]).toEqual([undefined, 'Ready']);
    });

    it('does not create through the status subresource', async () => {
      await expect(applyStatus(unique('absent'), 'cache', { phase: 'Ready' })).rejects.toMatchObject({
        code: 'not-found',
      });
    });

    it('is refused on another version than the one it names', async () => {
      const name = unique('versioned');
      const made = await client().create(CACHED_IMAGES, image(name));
      await applyStatus(name, 'description', { phase: 'Ready' });
      const patch = { metadata: { resourceVersion: made.metadata.resourceVersion }, status: { phase: 'Expiring' } };
      const options = { fieldManager: FIELD_MANAGERS.removal, subresource: 'status' } as const;
      await expect(client().apply(CACHED_IMAGES, { name }, patch, options)).rejects.toMatchObject({ code: 'conflict' });
    });

    it('withdraws a whole stanza, the last one too', async () => {
      const name = unique('withdrawn');
      const made = await client().create<CachedImage>(CACHED_IMAGES, image(name));
      await applyStatus(name, 'cache', stanzas(made.metadata.uid).cache);
      await applyStatus(name, 'upstream', stanzas(made.metadata.uid).upstream);
      const after = await applyStatus(name, 'cache', {});
      expect(after.status).not.toHaveProperty('cache');
      expect(after.status?.upstream).toMatchObject({ state: 'Available' });
      expect((await applyStatus(name, 'upstream', {})).status).toBeUndefined();
      expect((await applyStatus(name, 'cache', { phase: 'Ready' })).status).toEqual({ phase: 'Ready' });
    });

    it('loses no field of four managers, in every order', async () => {
      const inOrder = async (order: readonly Manager[]) => {
        const name = unique('order');
        const { uid } = (await client().create<CachedImage>(CACHED_IMAGES, image(name))).metadata;
        const all = stanzas(uid);
        let last: CachedImage | undefined;
        for (const manager of order) last = await applyStatus(name, manager, all[manager]);
        const status = Object.assign({}, ...Object.values(all)) as object;
        expect({ order, status: last?.status }).toEqual({ order, status });
      };
      const orders = ordersOf(MANAGERS);
      expect(orders).toHaveLength(24);
      for (let from = 0; from < orders.length; from += 8) await Promise.all(orders.slice(from, from + 8).map(inOrder));
    }, 60_000);

    it('loses no field of four managers, in parallel', async () => {
      const name = unique('parallel');
      const { uid } = (await client().create<CachedImage>(CACHED_IMAGES, image(name))).metadata;
      const all = stanzas(uid);
      for (let round = 1; round <= 10; round++) {
        all.cache = { cache: { forUid: uid, digest: `sha256:${round}` } };
        all.upstream = { upstream: { forUid: uid, state: 'Available', digest: `sha256:${round}` } };
        await Promise.all(MANAGERS.map((manager) => applyStatus(name, manager, all[manager])));
      }
      const { status } = await client().get<CachedImage>(CACHED_IMAGES, { name });
      expect(status).toEqual(Object.assign({}, ...Object.values(all)));
    });
  });
}
