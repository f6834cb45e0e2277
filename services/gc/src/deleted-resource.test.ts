import { beforeEach, describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES } from '@kuik/kube';
import type { Collection } from './collection-loop.ts';
import { World } from './world.fixture.ts';

const signal = new AbortController().signal;
let world: World;
let gc: Collection;
beforeEach(async () => {
  world = await World.begin();
  gc = world.process();
});
const round = () => gc.round(signal);

describe('a resource that a person deleted', () => {
  const remove = () => world.kube.delete(CACHED_IMAGES, { name: 'nginx' });

  it('takes its tag along when nobody holds it', async () => {
    world.add({ status: { usedBy: { forUid: 'uid-nginx', count: 0 } } });
    await remove();
    expect(world.image()).toBeDefined();
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
    expect(world.events).toEqual(['Removed']);
  });

  it('leaves its bytes when somebody holds it', async () => {
    world.add();
    await remove();
    world.holders = 'held';
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(1);
    expect(world.events).toEqual(['Kept']);
  });

  it('waits while nobody can say who holds it', async () => {
    world.add();
    await remove();
    world.holders = 'unknown';
    await round();
    expect(world.image()).toBeDefined();
    expect(world.tags.size).toBe(1);
  });

  it('keeps its finalizer while the cache registry is away', async () => {
    world.add();
    await remove();
    world.cacheDown = true;
    await expect(round()).rejects.toMatchObject({ code: 'refused' });
    expect(world.image()?.metadata.finalizers).toHaveLength(1);
    world.cacheDown = false;
    await round();
    expect(world.image()).toBeUndefined();
  });

  it('leaves finalizers of others in place', async () => {
    world.add({ finalizers: ['kuik.enix.io/cached-image', 'someone.test/else'] });
    await remove();
    await round();
    expect(world.image()?.metadata.finalizers).toEqual(['someone.test/else']);
  });

  it('goes without a word of the cache when it is no reference', async () => {
    world.add({ spec: { sourceImage: 'no reference: at all' } });
    await remove();
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(1);
  });
});
