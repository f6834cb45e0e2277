import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PODS } from '@kuik/kube';
import { IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

describe('what is told of holders', () => {
  it('says in one write what a new holder changes', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    await eventually('repository Ready', () => world.repositories()[0]?.status?.phase === 'Ready');
    await world.settled();
    const before = world.writes().length;
    const said = [...world.images(), ...world.repositories()].map(({ metadata }) => metadata.name);
    world.pod('api', IMAGE);
    await eventually('two holders', () => world.image(IMAGE)?.status?.usedBy?.count === 2);
    expect(world.image(IMAGE)?.status?.display?.usedBy).toBe('2');
    await world.settled();
    const writes = world
      .writes()
      .slice(before)
      .filter(({ name }) => said.includes(name));
    expect(writes.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual(['apply cachedimages']);
  });

  it('tells of more holders no sooner than configured, of the last one going at once', async () => {
    await world.close();
    world = createWorld({ KUIK_RECONCILE_HOLDERS: '1h' });
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    for (const name of ['api', 'db', 'job']) world.pod(name, IMAGE);
    await world.settled();
    expect(world.image(IMAGE)?.status?.usedBy?.count).toBe(1);
    for (const name of ['web', 'api', 'db', 'job']) world.kube.drop(PODS, { namespace: 'default', name });
    await eventually('nobody', () => world.image(IMAGE)?.status?.usedBy?.count === 0);
    world.pod('web', IMAGE);
    await eventually('somebody', () => world.image(IMAGE)?.status?.usedBy?.count === 1);
  });

  it('tells of more holders in the end', async () => {
    await world.close();
    world = createWorld({ KUIK_RECONCILE_HOLDERS: '300ms' });
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    for (const name of ['api', 'db', 'job']) world.pod(name, IMAGE);
    const before = world.writes().length;
    await eventually('four holders', () => world.image(IMAGE)?.status?.usedBy?.count === 4);
    expect(
      world
        .writes()
        .slice(before)
        .filter(({ resource }) => resource === 'cachedimages'),
    ).toHaveLength(1);
  });

  it('raises no second intent because a holder came', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.summarised();
    world.pod('api', IMAGE);
    await eventually('two holders', () => world.image(IMAGE)?.status?.usedBy?.count === 2);
    expect(world.jobs).toHaveLength(1);
  });

  it('tells when nobody uses an image any more, and when it expires', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.summarised();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    const image = await eventually('expiry', () =>
      world.image(IMAGE)?.status?.expiresAt ? world.image(IMAGE) : undefined,
    );
    expect(image.status?.usedBy?.count).toBe(0);
    expect(Date.parse(image.status!.expiresAt!) - Date.parse(image.status!.unusedSince!)).toBe(30 * 86_400_000);
    world.pod('web2', IMAGE);
    await eventually('no expiry', () => world.image(IMAGE)?.status?.expiresAt === undefined);
  });
});
