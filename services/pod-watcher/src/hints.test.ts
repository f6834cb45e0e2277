import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HOLDERS_CONFIRM, IMAGE_USED, project } from '@kuik/contracts';
import { PODS } from '@kuik/kube';
import { cacheStanza, IMAGE, OTHER_DIGEST, removalStanza } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

const leading = () =>
  eventually('leading', () => world.kube.calls.some(({ resource, verb }) => resource === 'pods' && verb === 'watch'));

describe('hints of admissions, and wishes of persons', () => {
  it('makes nothing of hints alone, however many; the copy of a pod that is stored carries the request’s id', async () => {
    await world.replica().start();
    await leading();
    const webhook = world.bus();
    const hint = (images: string[], requestId: string) =>
      webhook.publish(IMAGE_USED, { namespace: 'default', pullSecrets: [], images, requestId });
    for (let refused = 0; refused < 200; refused += 1) {
      hint(
        Array.from({ length: 50 }, (_, index) => `registry.example.test/refused-${refused}-${index}:1`),
        `refused-${refused}`,
      );
    }
    hint([IMAGE], 'r-1');
    const gc = world.bus();
    const held = async () => {
      const asked = { images: [{ uid: 'any', reference: IMAGE }] };
      // No answer while a watch is not complete yet, or while ten thousand hints are being read.
      const reply = await gc.request(HOLDERS_CONFIRM, asked, { timeoutMs: 1000 }).catch(() => undefined);
      return reply?.images[0]?.verdict === 'held';
    };
    await eventually('the last hint taken', held);
    world.pod('web', IMAGE);
    await eventually('a job', () => world.jobs[0]);
    expect(world.jobs).toMatchObject([{ reference: IMAGE, reason: 'NotCached', requestId: 'r-1' }]);
    await world.summarised();
    expect(project(world.image(IMAGE)!)?.state.requestId).toBe('r-1');
    expect(world.images()).toHaveLength(1);
    expect(world.repositories()).toHaveLength(1);
    await Promise.all([webhook.close(), gc.close()]);
  });

  it('copies again at a hint what gc removed, and does not take the image for used', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    const unused = await eventually('its expiry', () =>
      world.image(IMAGE)?.status?.expiresAt ? world.image(IMAGE) : undefined,
    );
    const removal = removalStanza({ forUid: unused.metadata.uid, removedAt: new Date().toISOString() });
    world.putImage({ ...unused, status: { ...unused.status, removal } });
    await eventually('removed', () => world.image(IMAGE)?.status?.isCached === false);
    expect(world.jobs).toHaveLength(1);
    const webhook = world.bus();
    webhook.publish(IMAGE_USED, { namespace: 'default', pullSecrets: [], images: [IMAGE], requestId: 'r-2' });
    await eventually('a job', () => world.jobs[1]);
    expect(world.jobs[1]).toMatchObject({ reason: 'RemovedAndUsed', requestId: 'r-2' });
    expect(world.image(IMAGE)?.status).toMatchObject({
      expiresAt: unused.status?.expiresAt,
      unusedSince: unused.status?.unusedSince,
    });
    await webhook.close();
  });

  it('knows the request from the pod when its hint was lost, and goes on knowing it', async () => {
    world.pod('web', IMAGE, { metadata: { annotations: { 'kuik.enix.io/request-id': 'r-2' } } });
    await world.replica().start();
    const image = await world.summarised();
    expect(world.jobs[0]).toMatchObject({ reference: IMAGE, requestId: 'r-2' });
    expect(image.metadata.annotations).toEqual({ 'kuik.enix.io/request-id': 'r-2' });
  });

  it('copies at a person’s wish, once, and takes the wish off when it was carried out', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.copied();
    const annotations = { 'kuik.enix.io/force-update': 'true' };
    world.putImage({ ...image, metadata: { ...image.metadata, annotations } });
    await eventually('a forced intent', () => world.jobs.find(({ reason }) => reason === 'Forced'));
    const asked = world.image(IMAGE)!;
    const cache = cacheStanza({ forUid: image.metadata.uid, forced: 'true', copiedAt: new Date().toISOString() });
    world.putImage({ ...asked, status: { ...asked.status, cache } });
    await eventually(
      'the wish gone',
      () => world.image(IMAGE)?.metadata.annotations?.['kuik.enix.io/force-update'] === undefined,
    );
    expect(world.jobs.map(({ reason }) => reason)).toEqual(['NotCached', 'Forced']);
  });

  const annotations = { 'kuik.enix.io/force-update': 'true' };
  const forced = () => world.jobs.filter(({ reason }) => reason === 'Forced').length;
  const put = (wish: object, change: Parameters<typeof cacheStanza>[0]) => {
    const image = world.image(IMAGE)!;
    const cache = cacheStanza({ forUid: image.metadata.uid, ...change });
    world.putImage({
      ...image,
      metadata: { ...image.metadata, annotations: wish },
      status: { ...image.status, cache },
    });
  };

  it('copies again at the same wish, said again when it was carried out', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    let copiedAt = world.image(IMAGE)!.status!.cache!.copiedAt!;
    for (const times of [1, 2, 3]) {
      put(annotations, { copiedAt, ...(times === 1 ? {} : { forced: 'true' }) });
      await eventually(`${times} forced intents`, () => forced() === times);
      copiedAt = new Date(Date.parse(copiedAt) + 60_000).toISOString();
      put(annotations, { copiedAt, forced: 'true' });
      const wishes = () => Object.keys(world.image(IMAGE)?.metadata.annotations ?? {});
      await eventually('the wish gone', () => !wishes().includes('kuik.enix.io/force-update'));
    }
  });

  it('copies again at the same wish, said again after it was taken back', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.copied();
    const copiedAt = world.image(IMAGE)!.status!.cache!.copiedAt!;
    put(annotations, { copiedAt });
    await eventually('a forced intent', () => forced() === 1);
    const later = { digest: OTHER_DIGEST, copiedAt: new Date(Date.parse(copiedAt) + 60_000).toISOString() };
    put({}, later);
    await eventually('the copy to be told', () => world.image(IMAGE)?.status?.digest === OTHER_DIGEST.slice(7));
    put(annotations, later);
    await eventually('another forced intent', () => forced() === 2);
  });
});
