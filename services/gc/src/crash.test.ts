import { describe, expect, it } from '@jest/globals';
import { project } from '@kuik/contracts';
import { CACHED_IMAGES } from '@kuik/kube';
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
      expect([...world.tags]).toEqual(['docker.io/library/other:1']);
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
});
