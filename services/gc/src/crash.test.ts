import { describe, expect, it } from '@jest/globals';
import { project } from '@kuik/contracts';
import { CACHED_IMAGES } from '@kuik/kube';
import { DIGEST } from './fixtures.ts';
import { World } from './world.fixture.ts';

const signal = new AbortController().signal;

describe('a crash', () => {
  it.each([
    ['of an expiring image', false],
    ['of a deleted one', true],
  ])('between any two steps %s is repaired by the next process', async (_, deleted) => {
    for (let lifetime = 0; ; lifetime++) {
      const world = await World.begin();
      world.add();
      world.add({ name: 'other', status: { usedBy: { forUid: 'uid-other', count: 1 } } });
      if (deleted) await world.kube.delete(CACHED_IMAGES, { name: 'nginx' });
      world.lifetime = lifetime;
      let gc = world.process();
      let crashed = false;
      for (let step = 0; step < 4; step++) {
        try {
          if (crashed) gc = world.process();
          await gc.round(signal);
        } catch {
          crashed = true;
          world.lifetime = undefined;
        }
        world.pass(6);
      }
      expect(world.image()).toBeUndefined();
      expect([...world.tags.keys()]).toEqual(['docker.io/library/other:1']);
      expect(world.image('other')).toBeDefined();
      if (!crashed) {
        expect(lifetime).toBeGreaterThan(deleted ? 1 : 6);
        return;
      }
    }
  });

  it('never leaves a resource that promises what the cache does not have', async () => {
    for (let lifetime = 0; lifetime < 10; lifetime++) {
      const world = await World.begin();
      world.add();
      const gc = world.process();
      await gc.round(signal);
      world.pass(6);
      world.lifetime = lifetime;
      await gc.round(signal).catch(() => undefined);
      const image = world.image();
      if (image === undefined || world.tags.size > 0) continue;
      expect(project(image)?.state.digest).toBeUndefined();
    }
  });

  // A copy that finds the tag, then the tag goes, then gc is killed before its next write: whatever the order, whoever comes after.
  describe.each(['before its tag goes', 'right after its tag went'])('while a copy is recorded %s', (when) => {
    it.each(Array.from({ length: 10 }, (_, lifetime) => lifetime))(
      'after %d effects leaves no resource that promises a tag which is not there',
      async (lifetime) => {
        const world = await World.begin();
        world.add();
        let gc = world.process();
        await gc.round(signal);
        world.pass(6);
        const deleteTag = world.tags.delete.bind(world.tags);
        world.tags.delete = (tag) => {
          world.tags.delete = deleteTag;
          const deleted = when === 'right after its tag went' && deleteTag(tag);
          world.use();
          world.holders = 'held';
          world.recordCopy();
          return deleted || deleteTag(tag);
        };
        world.lifetime = lifetime;
        await gc.round(signal).catch(() => undefined);
        world.lifetime = undefined;
        // Killed before it came to the tag: somebody uses it all the same.
        if (world.image() !== undefined) world.use();
        world.holders = 'held';
        gc = world.process();
        for (let round = 0; round < 4; round += 1) {
          world.pass(1);
          world.copyWhatIsWanted();
          await gc.round(signal);
          const image = world.image();
          if (image === undefined || project(image)?.state.digest === undefined) continue;
          expect([...world.tags.keys()]).toEqual(['docker.io/library/nginx:1']);
        }
        expect(world.image()?.status?.removal).toBeUndefined();
        expect(await world.state()).toMatchObject({ digest: DIGEST });
        expect(world.tags.size).toBe(1);
      },
    );
  });
});
