import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Repository } from '@kuik/contracts';
import { IMAGE } from './testing/objects.ts';
import { createWorld, eventually, LATER } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

describe('objects that others made', () => {
  it('adopts what a person named otherwise, and marks the second object of one image', async () => {
    const theirs = { labels: { team: 'shop' }, annotations: { note: 'x' } };
    const spec = { sourceImage: IMAGE, retain: true, expiresAt: '2031-01-01T00:00:00Z' };
    const first = world.putImage({ metadata: { name: 'mine', ...theirs }, spec });
    world.putImage({
      metadata: { name: 'second', creationTimestamp: '2099-01-01T00:00:00Z' },
      spec: { sourceImage: IMAGE },
    });
    world.pod('web', IMAGE);
    await world.replica().start();
    const named = (name: string) => world.images().find(({ metadata }) => metadata.name === name);
    await eventually('a duplicate', () => named('second')?.status?.phase === 'Duplicate');
    await eventually('an adopted one', () => named('mine')?.metadata.finalizers?.includes('kuik.enix.io/cached-image'));
    // What a person wrote stays as it is.
    expect(named('mine')).toMatchObject({ metadata: theirs, spec });
    expect(world.images()).toHaveLength(2);
    expect(world.jobs.map(({ uid }) => uid)).toEqual([first.metadata.uid]);
  });

  it.each([
    [
      'is no reference',
      'registry.example.test:70000/shop',
      'NotAReference',
      /is not a registry host; delete this CachedImage/,
    ],
    ['has no place in the cache', '[fd00::1]:5000/shop', 'NotEncodable', /give the registry a host name; delete this/],
  ])('says of an image that it %s, once, and asks for no copy of it', async (_, sourceImage, reason, message) => {
    world.putImage({ metadata: { name: 'odd' }, spec: { sourceImage } });
    world.pod('web', IMAGE);
    await world.replica().start();
    const odd = () => world.images().find(({ metadata }) => metadata.name === 'odd');
    const told = await eventually('phase ErrImagePull', () =>
      odd()?.status?.phase === 'ErrImagePull' ? odd() : undefined,
    );
    expect(told.status?.conditions?.find(({ type }) => type === 'Cached')).toMatchObject({
      status: 'False',
      reason,
      message: expect.stringMatching(message) as unknown,
    });
    await world.summarised();
    world.kube.forgetHistory();
    world.kube.endWatches('gone');
    const lists = () =>
      world.kube.calls.filter(({ verb, resource }) => verb === 'list' && resource === 'cachedimages').length;
    const listed = lists();
    await eventually('a relist', () => lists() > listed);
    await world.settled();
    expect(odd()).toEqual(told);
    const kept = ({ spec }: Repository) => !spec.name.startsWith(LATER);
    expect(world.repositories().filter(kept)).toHaveLength(1);
    const jobs = world.jobs.filter(({ reference }) => !reference.startsWith(LATER));
    expect([...new Set(jobs.map(({ reference }) => reference))]).toEqual([IMAGE]);
  });

  it('takes a Repository off the owners of images that an earlier version made, and leaves other owners', async () => {
    const owner = (kind: string, apiVersion: string) => ({
      apiVersion,
      kind,
      name: kind.toLowerCase(),
      uid: `uid-${kind}`,
    });
    const other = owner('Deployment', 'apps/v1');
    const theirs = owner('Repository', 'source.example.test/v1');
    world.putImage({
      metadata: { name: 'old', ownerReferences: [owner('Repository', 'kuik.enix.io/v1alpha1'), other, theirs] },
      spec: { sourceImage: IMAGE },
    });
    await world.replica().start();
    await eventually('no owner of ours', () => world.image(IMAGE)?.metadata.ownerReferences?.length === 2);
    expect(world.image(IMAGE)?.metadata.ownerReferences).toEqual([other, theirs]);
  });
});
