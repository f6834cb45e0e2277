import { beforeEach, describe, expect, it } from '@jest/globals';
import { RegistryError, type RegistryErrorCode } from '@kuik/registry';
import type { Collection } from './collection-loop.ts';
import { DIGEST, NOW, type ImageChange } from './fixtures.ts';
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
/** A removal that begins, and breaks off because the cache is away. */
async function beginRemoval(): Promise<void> {
  world.add();
  await round();
  world.pass(9);
  world.cacheDown = true;
  await expect(round()).rejects.toThrow();
}
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
    await beginRemoval();
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
    await beginRemoval();
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

  it.each<[string, () => void]>([
    ['used again', () => undefined],
    ['used and copied again', () => world.recordCopy(1_000)],
  ])('%s after its removal began, its tag damaged: it is not promised, and others go', async (_how, then) => {
    await beginRemoval();
    world.cacheDown = false;
    used();
    then();
    world.add({ name: 'other' }, '2');
    world.reading = (reference) => {
      if (reference === '1') throw new RegistryError('server-error', 'damaged', { status: 500 });
    };
    await round();
    world.pass(9);
    await round();
    expect(world.image()?.status?.removal?.removedAt).toBeDefined();
    expect(world.image('other')).toBeUndefined();
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
    await beginRemoval();
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
    await beginRemoval();
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

describe('a repository that the cache fails on', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const there = () => names.filter((name) => world.image(name) !== undefined);
  const failing = (broken: readonly string[], code: RegistryErrorCode = 'server-error') => {
    world.listing = (repository) => {
      if (broken.some((name) => repository.endsWith(`/${name}`)))
        throw new RegistryError(code, `no tags of ${repository}`);
    };
  };
  const passGrace = async () => {
    await round();
    world.pass(9);
  };

  it.each<RegistryErrorCode>(['server-error', 'invalid-response', 'timeout'])(
    'holds up nobody else (%s), is told once, and goes when the cache has recovered',
    async (code) => {
      for (const name of names) world.add({ name });
      await passGrace();
      failing(['b'], code);
      await round();
      await round();
      expect(there()).toEqual(['b']);
      expect(world.events.filter((reason) => reason === 'RemovalWaits')).toHaveLength(1);
      expect(await world.metrics.render()).toContain('kuik_gc_kept_total{reason="CacheFails"} 2');
      failing([]);
      await round();
      expect(there()).toEqual([]);
    },
  );

  it('is asked once in a round, and what is held there is kept', async () => {
    for (const tag of ['1', '2', '3']) {
      world.add({ name: `a${tag}`, spec: { sourceImage: `docker.io/library/a:${tag}` } });
    }
    await passGrace();
    failing(['a']);
    world.holdersOf = (reference) => (reference.endsWith('a:3') ? 'held' : 'free');
    await round();
    expect(world.listed).toEqual(['docker.io/library/a']);
    expect(world.image('a3')?.status?.removal).toBeUndefined();
  });

  it('with a tag that cannot be deleted keeps no other tag of it for longer than a round', async () => {
    for (const tag of ['1', '2']) world.add({ name: `a${tag}`, spec: { sourceImage: `docker.io/library/a:${tag}` } });
    await passGrace();
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      if (tag.endsWith('a:1')) throw new RegistryError('server-error', 'a damaged link');
      return deleteTag(tag);
    };
    await round();
    await round();
    expect([world.image('a1'), world.image('a2')].map((image) => image?.metadata.name)).toEqual(['a1', undefined]);
  });

  it('beside enough others that fail is the registry: the round ends, and the next one begins with who did not fail', async () => {
    for (const name of names) world.add({ name });
    await passGrace();
    failing(names);
    await expect(round()).rejects.toMatchObject({ code: 'server-error' });
    expect(world.listed).toHaveLength(3);
    failing(names.slice(0, 3));
    await expect(round()).rejects.toMatchObject({ code: 'server-error' });
    expect(there()).toEqual(names.slice(0, 3));
  });
});
