import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Repository } from '@kuik/contracts';
import { NAMESPACES, PODS, REPOSITORIES } from '@kuik/kube';
import { cacheStanza, IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

describe('Repositories', () => {
  it('makes a Repository anew that a person deleted, and leaves its images as they are', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.copied();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    await eventually('nobody uses it', () => world.image(IMAGE)?.status?.usedBy?.count === 0);
    const [before] = world.repositories();
    world.kube.drop(REPOSITORIES, { name: before!.metadata.name });
    const anew = await eventually('a Repository', () => world.repositories()[0]);
    expect(anew.metadata.uid).not.toBe(before!.metadata.uid);
    expect(anew.spec).toEqual({ name: 'registry.example.test/shop' });
    expect(world.image(IMAGE)).toMatchObject({ metadata: { uid: image.metadata.uid }, status: { phase: 'Ready' } });
    expect(world.image(IMAGE)?.metadata.deletionTimestamp).toBeUndefined();
  });

  it('goes again when a person named the repository while the watch was behind', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    world.kube.put<Repository>(REPOSITORIES, {
      metadata: { name: 'by-hand' },
      spec: { name: 'registry.example.test/shop', updateInterval: '1h' },
    });
    const [kept] = await eventually('one Repository', () => {
      const all = world.repositories();
      return all.length === 1 && all[0]?.status?.phase !== undefined ? all : undefined;
    });
    expect(kept).toMatchObject({ metadata: { name: 'by-hand' }, status: { images: 1, phase: 'Ready' } });
    expect(kept?.status?.conditions?.map(({ type }) => type)).not.toContain('Duplicate');
  });

  it('asks upstream again when a Repository wants it, from the moment that it says so', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied({ copiedAt: '2026-01-01T00:00:00.000Z' });
    const repository = world.repositories()[0]!;
    const wish = (spec: object) =>
      world.kube.put<Repository>(REPOSITORIES, { ...world.repositories()[0]!, spec: { ...repository.spec, ...spec } });
    wish({ updateInterval: '1h', updateFilters: ['other'] });
    await eventually('the wish told', () =>
      world.repositories()[0]?.status?.conditions?.some(({ type }) => type === 'Updates'),
    );
    expect(world.jobs.map(({ reason }) => reason)).toEqual(['NotCached']);
    wish({ updateInterval: '1h', updateFilters: [':1'] });
    await eventually('an update', () => world.jobs[1]);
    expect(world.jobs.map(({ reason }) => reason)).toEqual(['NotCached', 'UpdateDue']);
    // It found nothing new: the next one is an hour away, for a restarted leader as well.
    const image = world.image(IMAGE)!;
    world.putImage({
      ...image,
      status: {
        ...image.status,
        cache: cacheStanza({ forUid: image.metadata.uid, copiedAt: new Date().toISOString() }),
      },
    });
    await world.settled();
    expect(world.jobs.filter(({ reference }) => reference === IMAGE)).toHaveLength(2);
  });

  it('v1 defect: a deleted namespace leaves references to its pull secrets behind', async () => {
    world.kube.put(NAMESPACES, { metadata: { name: 'default' } });
    world.pod('web', IMAGE, { spec: { imagePullSecrets: [{ name: 'regcred' }] } });
    await world.replica().start();
    await world.copied();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    await eventually('nobody uses it', () => world.image(IMAGE)?.status?.usedBy?.count === 0);
    world.kube.drop(NAMESPACES, { name: 'default' });
    world.kube.forgetHistory();
    world.kube.endWatches('gone');
    await eventually('no reference', () => world.repositories()[0]?.status?.pullSecrets === undefined);
    expect(world.image(IMAGE)?.status).not.toHaveProperty('pullSecrets');
  });

  it('forgets a Repository that has no image and that nobody edited', async () => {
    await world.close();
    world = createWorld({ KUIK_EXPIRY_REPOSITORY_IDLE: '50ms' });
    world.kube.put<Repository>(REPOSITORIES, {
      metadata: { name: 'edited' },
      spec: { name: 'quay.io/a/b', updateInterval: '1h' },
    });
    world.kube.put<Repository>(REPOSITORIES, { metadata: { name: 'bare' }, spec: { name: 'quay.io/c/d' } });
    world.pod('web', IMAGE);
    await world.replica().start();
    await eventually('one gone', () => !world.repositories().some(({ metadata }) => metadata.name === 'bare'));
    expect(
      world
        .repositories()
        .map(({ spec }) => spec.name)
        .sort(),
    ).toEqual(['quay.io/a/b', 'registry.example.test/shop']);
  });
});
