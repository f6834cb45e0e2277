import { beforeEach, describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES } from '@kuik/kube';
import { RegistryError } from '@kuik/registry';
import type { Collection } from './collection-loop.ts';
import { DIGEST, imageOf, NOW, type ImageChange } from './fixtures.ts';
import { bend, World } from './world.fixture.ts';

const signal = new AbortController().signal;
let world: World;
let gc: Collection;
beforeEach(async () => {
  world = await World.begin();
  gc = world.process();
});
const round = () => gc.round(signal);
const change = (bent: ImageChange, name = 'nginx') => bend(world.kube, name, bent);
const used = () => change({ status: { usedBy: { forUid: 'uid-nginx', count: 1 } } });

describe('an image that has expired', () => {
  it('is condemned, waits its grace, and goes: tag first, resource last', async () => {
    world.add();
    await round();
    expect(world.image()?.status?.removal).toMatchObject({
      reason: 'Unused',
      condemnedAt: new Date(NOW).toISOString(),
    });
    expect(await world.state()).toMatchObject({ condemned: true });
    expect(world.events).toEqual(['Expiring']);
    await round();
    world.pass(4);
    await round();
    expect(world.tags.size).toBe(1);
    world.pass(1);
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
    expect(world.events).toEqual(['Expiring', 'Removed']);
    expect(await world.metrics.render()).toContain('kuik_gc_removed_total{reason="Unused"} 1');
  });

  it('is kept when it is used again, and nodes hear of that', async () => {
    world.add();
    await round();
    used();
    world.pass(9);
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect((await world.state())?.condemned).toBeUndefined();
    expect(world.events).toEqual(['Expiring', 'Kept']);
    expect(world.tags.size).toBe(1);
  });

  it('is kept when pod-watcher says that somebody holds it, whatever the resource says', async () => {
    world.add();
    await round();
    world.pass(9);
    world.holders = 'held';
    await round();
    expect(world.tags.size).toBe(1);
    expect(world.events).toEqual(['Expiring', 'Kept']);
  });

  it('is condemned with a greater epoch the next time', async () => {
    world.add();
    await round();
    const first = world.image()!.status!.removal!.epoch;
    change({ spec: { retain: true } });
    await round();
    change({ spec: { retain: false } });
    world.pass(1);
    await round();
    expect(world.image()!.status!.removal!.epoch).toBeGreaterThan(first);
  });

  it('stays while pod-watcher does not know', async () => {
    world.add();
    await round();
    world.pass(9);
    world.holders = 'unknown';
    await round();
    expect(world.tags.size).toBe(1);
    expect(await world.metrics.render()).toContain('kuik_gc_kept_total{reason="HoldersUnknown"} 1');
  });

  it('stays while pod-watcher does not answer', async () => {
    world.add();
    await round();
    world.pass(9);
    await world.watcher.close();
    await expect(round()).rejects.toMatchObject({ code: 'no-responders' });
    expect(world.image()?.status?.removal?.removedAt).toBeUndefined();
    expect(world.tags.size).toBe(1);
  });

  it('stays while the cache registry is away, and goes when it is back', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toMatchObject({ code: 'refused' });
    expect(world.image()?.metadata.finalizers).toHaveLength(1);
    expect((await world.state())?.digest).toBeUndefined();
    world.cacheDown = false;
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('used again after its removal began, its tag still there: it is kept, and no upstream is asked', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toThrow();
    used();
    await expect(round()).rejects.toThrow();
    expect((await world.state())?.digest).toBeUndefined();
    world.cacheDown = false;
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect((await world.state())?.digest).toBe(DIGEST);
    expect(world.tags.size).toBe(1);
    expect(world.events).toEqual(['Expiring', 'Kept']);
  });

  it('used again after its tag went: it is the copier that brings it back, then it is kept', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toThrow();
    used();
    world.cacheDown = false;
    world.tags.clear();
    await round();
    await round();
    expect(world.image()?.status?.removal?.removedAt).toBeDefined();
    world.copyWhatIsWanted();
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect(world.events).toEqual(['Expiring', 'Kept']);
  });

  it('used and found in the cache again while its tag goes: that copy does not count, and is made again', async () => {
    world.add();
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    let copiedAt = '';
    world.tags.delete = (tag) => {
      used();
      copiedAt = world.recordCopy(5_000);
      world.kube.failNext('conflict', { verb: 'apply' });
      return deleteTag(tag);
    };
    await round();
    await round();
    expect(world.tags.size).toBe(0);
    expect(world.image()?.status?.removal?.removedAt).toBe(copiedAt);
    expect((await world.state())?.digest).toBeUndefined();
    world.pass(1);
    world.copyWhatIsWanted();
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect(world.tags.size).toBe(1);
  });

  it('copied again by wish while nobody uses it, its tag gone since: it goes', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toThrow();
    world.cacheDown = false;
    world.recordCopy(1_000);
    world.tags.clear();
    world.pass(1);
    await round();
    expect(world.image()?.status?.removal?.removedAt).toBe(new Date(world.now).toISOString());
    await round();
    expect(world.image()).toBeUndefined();
  });

  it('is not promised again while the cache cannot tell whether it is there', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toThrow();
    used();
    world.recordCopy();
    await expect(round()).rejects.toMatchObject({ code: 'refused' });
    expect((await world.state())?.digest).toBeUndefined();
    expect(world.image()?.status?.removal?.removedAt).toBeDefined();
  });

  it.each([
    ['it is used meanwhile: it stays', 'held' as const],
    ['pod-watcher does not know any more: it stays', 'unknown' as const],
  ])('confirmed as free when its turn comes long after because the cache is slow, and %s', async (_what, then) => {
    world.add({ name: 'a-slow' });
    world.add();
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      world.pass(1);
      // No resource tells yet: a leader that died cannot write.
      world.holders = then;
      return deleteTag(tag);
    };
    await round();
    expect(world.image('a-slow')).toBeUndefined();
    expect(world.image()).toBeDefined();
    expect([...world.tags.keys()]).toEqual(['docker.io/library/nginx:1']);
  });

  it('is left alone by a replica that does not lead', async () => {
    world.add();
    world.leader = false;
    await round();
    expect(world.kube.calls.filter(({ verb }) => verb === 'apply')).toEqual([]);
  });

  it('is judged anew when it changed between two writes', async () => {
    world.add();
    world.kube.failNext('conflict', { verb: 'apply' });
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    await round();
    expect(world.image()?.status?.removal).toBeDefined();
  });

  it('does not hold up the others when its own tag can not be deleted', async () => {
    world.add({ name: 'bad' });
    world.add({ name: 'good' });
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      if (tag.includes('bad')) throw new RegistryError('rejected', 'the cache registry refuses to delete');
      return deleteTag(tag);
    };
    await round();
    expect([world.image('bad'), world.image('good')].map((image) => image?.metadata.name)).toEqual(['bad', undefined]);
  });
});

describe('tags that several resources need', () => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const anchor = `kuik-sha256-${'d'.repeat(64)}`;
  const unusedAnchor = (name: string, tag: string) => ({
    name,
    spec: { sourceImage: `docker.io/library/nginx:${tag}@${digest}` },
    status: { usedBy: { forUid: `uid-${name}`, count: 0 } },
  });

  it('keeps an anchor while another resource names the digest, and removes it with the last', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } } });
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(1);
    change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
    await round();
    world.pass(9);
    await round();
    expect(world.image('two')).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('keeps an anchor while another resource pins the digest, and removes it with that one', async () => {
    const pinning = { name: 'pinning', spec: { sourceImage: 'docker.io/library/nginx:2', pin: digest } };
    world.add(unusedAnchor('one', '1'));
    world.add({ ...pinning, status: { usedBy: { forUid: 'uid-pinning', count: 1 } } });
    world.tags.clear();
    for (const tag of [anchor, '2']) world.tags.set(`docker.io/library/nginx:${tag}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(2);
    change({ status: { usedBy: { forUid: 'uid-pinning', count: 0 } } }, 'pinning');
    await round();
    world.pass(9);
    await round();
    expect(world.image('pinning')).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('keeps it for an image in use whose resource a person deletes at that moment', async () => {
    world.add(unusedAnchor('one', '1'));
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } }, deleting: true });
    world.tags.delete('docker.io/library/two:1');
    world.holdersOf = (reference) => (reference.includes(':2@') ? 'held' : 'free');
    await round();
    expect(world.kube.objects(CACHED_IMAGES)).toEqual([]);
    expect([...world.tags.keys()]).toEqual([`docker.io/library/nginx:${anchor}`]);
  });

  it('keeps it when a resource names the digest while the removal of another image takes long', async () => {
    world.add({ name: 'a-slow' });
    world.add(unusedAnchor('one', '1'));
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      if (tag.includes('slow')) {
        world.pass(1);
        world.add({ ...unusedAnchor('new', '2'), status: { usedBy: { forUid: 'uid-new', count: 1 } } });
      }
      return deleteTag(tag);
    };
    await round();
    expect(world.image('a-slow')).toBeUndefined();
    expect(world.image('one')).toBeUndefined();
    expect([...world.tags.keys()]).toContain(`docker.io/library/nginx:${anchor}`);
  });

  it.each([
    ['at once', undefined],
    // removedAt, its word, the anchor; then the process dies.
    ['by the next process when this one dies', 3],
  ])('puts it back %s when a resource came, and found it, just before it went', async (_when, lifetime) => {
    world.add(unusedAnchor('one', '1'));
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      world.tags.delete = deleteTag;
      world.kube.put(
        CACHED_IMAGES,
        imageOf({ ...unusedAnchor('new', '2'), status: { usedBy: { forUid: 'uid-new', count: 1 } } }),
      );
      return deleteTag(tag);
    };
    world.lifetime = lifetime;
    if (lifetime === undefined) await round();
    else await expect(round()).rejects.toThrow('SIGKILL');
    expect(world.image('one') === undefined).toBe(lifetime === undefined);
    world.lifetime = undefined;
    await round();
    expect(world.image('one')).toBeUndefined();
    expect([...world.tags]).toEqual([[`docker.io/library/nginx:${anchor}`, digest]]);
  });

  it('removes it when all of them go in one round', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add(unusedAnchor('two', '2'));
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.kube.objects(CACHED_IMAGES)).toEqual([]);
    expect(world.tags.size).toBe(0);
  });
});

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
