import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES, EVENTS, type KubeObject, PODS, REPOSITORIES } from '@kuik/kube';
import {
  type CachedImage,
  HOLDERS_CONFIRM,
  IMAGE_SERVED,
  IMAGE_STATE,
  IMAGE_USED,
  project,
  type Repository,
} from '@kuik/contracts';
import { cacheStanza, DIGEST, failedCopy, IMAGE, removalStanza } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

const putImage = (image: object) => world.kube.put<CachedImage>(CACHED_IMAGES, image as CachedImage);
const summarised = (image = IMAGE) =>
  eventually(`the summary of ${image}`, () => (world.image(image)?.status?.phase ? world.image(image) : undefined));
const copied = async (change = {}) => {
  const image = await summarised();
  putImage({
    ...image,
    status: { ...image.status, cache: cacheStanza({ forUid: image.metadata.uid, ...change }) },
  });
  return eventually('phase Ready', () =>
    world.image(IMAGE)?.status?.phase === 'Ready' ? world.image(IMAGE) : undefined,
  );
};

describe('a leader', () => {
  it('makes a CachedImage, its Repository and a copy intent of a pod', async () => {
    world.pod('web', IMAGE, { spec: { imagePullSecrets: [{ name: 'regcred' }] } });
    await world.replica().start();
    const image = await summarised();
    const [repository] = world.repositories();
    expect(repository).toMatchObject({ spec: { name: 'registry.example.test/shop' } });
    expect(image).toMatchObject({
      metadata: {
        finalizers: ['kuik.enix.io/cached-image'],
        labels: { 'kuik.enix.io/repository': 'registry.example.test-shop' },
        ownerReferences: [{ kind: 'Repository', name: repository?.metadata.name, uid: repository?.metadata.uid }],
      },
      status: {
        usedBy: { forUid: image.metadata.uid, count: 1, pods: [{ namespacedName: 'default/web' }] },
        pullSecrets: [{ namespace: 'default', name: 'regcred' }],
        phase: 'Waiting',
        display: { usedBy: '1', image: IMAGE },
      },
    });
    expect(world.jobs).toEqual([
      {
        name: image.metadata.name,
        uid: image.metadata.uid,
        reference: IMAGE,
        host: 'registry.example.test',
        reason: 'NotCached',
      },
    ]);
    await eventually('the summary of the repository', () => world.repositories()[0]?.status?.images === 1);
  });

  it('is at rest once everything is said', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await copied();
    await eventually('repository Ready', () => world.repositories()[0]?.status?.phase === 'Ready');
    const before = world.writes().length;
    // A relist looks at everything again.
    world.kube.forgetHistory();
    world.kube.endWatches('gone');
    const lists = () => world.kube.calls.filter(({ verb, resource }) => verb === 'list' && resource === 'pods').length;
    const listed = lists();
    await eventually('a relist', () => lists() > listed);
    await settled();
    expect(
      world
        .writes()
        .slice(before)
        .filter(({ resource }) => resource !== 'events'),
    ).toEqual([]);
    expect(world.jobs).toHaveLength(1);
  });

  it('raises no second intent because a holder came', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await summarised();
    world.pod('api', IMAGE);
    await eventually('two holders', () => world.image(IMAGE)?.status?.usedBy?.count === 2);
    expect(world.jobs).toHaveLength(1);
  });

  it('tells when nobody uses an image any more, and when it expires', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await summarised();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    const image = await eventually('expiry', () =>
      world.image(IMAGE)?.status?.expiresAt ? world.image(IMAGE) : undefined,
    );
    expect(image.status?.usedBy?.count).toBe(0);
    expect(Date.parse(image.status!.expiresAt!) - Date.parse(image.status!.unusedSince!)).toBe(30 * 86_400_000);
    world.pod('web2', IMAGE);
    await eventually('no expiry', () => world.image(IMAGE)?.status?.expiresAt === undefined);
  });

  it('adopts what a person named otherwise, and marks the second object of one image', async () => {
    const first = putImage({ metadata: { name: 'mine' }, spec: { sourceImage: IMAGE } });
    putImage({
      metadata: { name: 'second', creationTimestamp: '2099-01-01T00:00:00Z' },
      spec: { sourceImage: IMAGE },
    });
    world.pod('web', IMAGE);
    await world.replica().start();
    const named = (name: string) => world.images().find(({ metadata }) => metadata.name === name);
    await eventually('a duplicate', () => named('second')?.status?.phase === 'Duplicate');
    await eventually('an adopted one', () => named('mine')?.metadata.finalizers?.includes('kuik.enix.io/cached-image'));
    expect(world.images()).toHaveLength(2);
    expect(world.jobs.map(({ uid }) => uid)).toEqual([first.metadata.uid]);
  });

  it('makes a held image anew after somebody deleted it', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const first = await summarised();
    world.kube.drop(CACHED_IMAGES, { name: first.metadata.name });
    const anew = await eventually('a new object', () =>
      world.image(IMAGE)?.metadata.uid === first.metadata.uid ? undefined : world.image(IMAGE),
    );
    expect(anew.metadata.name).toBe(first.metadata.name);
    await eventually('its intent', () => world.jobs.some(({ uid }) => uid === anew.metadata.uid));
  });

  it('shows a copy under way as long as its worker is heard of, and no longer', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await summarised();
    const since = new Date().toISOString();
    const heardOf = (ms: number): string => {
      const until = new Date(Date.now() + ms).toISOString();
      const cache = { forUid: image.metadata.uid, copying: { since, until } };
      putImage({ ...world.image(IMAGE)!, status: { ...world.image(IMAGE)!.status, cache } });
      return until;
    };
    const phase = (wanted: string) =>
      eventually(`phase ${wanted}`, () => world.image(IMAGE)?.status?.phase === wanted || undefined);
    heardOf(60_000);
    await phase('Pulling');
    const until = heardOf(300);
    await phase('Waiting');
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(until));
    expect(world.jobs).toHaveLength(1);
  });

  it('starts a copy at the webhook’s hint, before any pod is seen', async () => {
    await world.replica().start();
    await eventually('leading', () =>
      world.kube.calls.some(({ resource, verb }) => resource === 'pods' && verb === 'watch'),
    );
    const other = world.bus();
    const hint = { namespace: 'default', pullSecrets: [], images: [IMAGE], requestId: 'r-1' };
    await eventually('a job', () => {
      other.publish(IMAGE_USED, hint);
      return world.jobs[0];
    });
    expect(world.jobs[0]).toMatchObject({ reference: IMAGE, requestId: 'r-1' });
    expect(project(world.image(IMAGE)!)?.state.requestId).toBe('r-1');
    expect(world.image(IMAGE)?.status?.expiresAt).toBeUndefined();
    await other.close();
  });

  it('knows the request from the pod when its hint was lost, and goes on knowing it', async () => {
    world.pod('web', IMAGE, { metadata: { annotations: { 'kuik.enix.io/request-id': 'r-2' } } });
    await world.replica().start();
    const image = await summarised();
    expect(world.jobs[0]).toMatchObject({ reference: IMAGE, requestId: 'r-2' });
    expect(image.metadata.annotations).toEqual({ 'kuik.enix.io/request-id': 'r-2' });
  });

  it('copies at a person’s wish, once, and takes the wish off when it was carried out', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await copied();
    const annotations = { 'kuik.enix.io/force-update': 'true' };
    putImage({ ...image, metadata: { ...image.metadata, annotations } });
    await eventually('a forced intent', () => world.jobs.find(({ reason }) => reason === 'Forced'));
    const asked = world.image(IMAGE)!;
    const cache = cacheStanza({ forUid: image.metadata.uid, forced: 'true', copiedAt: new Date().toISOString() });
    putImage({ ...asked, status: { ...asked.status, cache } });
    await eventually(
      'the wish gone',
      () => world.image(IMAGE)?.metadata.annotations?.['kuik.enix.io/force-update'] === undefined,
    );
    expect(world.jobs.map(({ reason }) => reason)).toEqual(['NotCached', 'Forced']);
  });

  it('tries a failed copy again when its time has come', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await summarised();
    const soon = new Date(Date.now() + 100).toISOString();
    const cache = { ...failedCopy({ at: new Date().toISOString(), retryAt: soon }), forUid: image.metadata.uid };
    putImage({ ...image, status: { ...image.status, cache } });
    const retry = await eventually('a retry', () => world.jobs.find(({ reason }) => reason === 'Retry'));
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(soon));
    expect(retry.uid).toBe(image.metadata.uid);
  });

  it('writes events of what happened, and last pulls', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await copied();
    const proxy = world.bus();
    const lastPulled = '2026-11-01T12:00:00.000Z';
    await proxy.publishDurable(IMAGE_SERVED, {
      node: 'node-1',
      since: lastPulled,
      images: [{ reference: IMAGE, pulls: 2, stale: 1, lastPulled }],
    });
    await eventually('the last pull', () => world.image(IMAGE)?.status?.lastPulled === lastPulled);
    expect(world.pulled.get(image.metadata.uid)).toBe(Date.parse(lastPulled));
    const condemned = world.image(IMAGE)!;
    const removal = removalStanza({ forUid: image.metadata.uid });
    putImage({ ...condemned, status: { ...condemned.status, removal } });
    const reasons = () => world.kube.objects<KubeObject & { reason: string }>(EVENTS).map(({ reason }) => reason);
    await eventually('phase Expiring', () => world.image(IMAGE)?.status?.phase === 'Expiring');
    await eventually('events', () => ['Copied', 'ServedStale'].every((reason) => reasons().includes(reason)));
    await proxy.close();
  });

  it('answers whether somebody holds an image', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await summarised();
    const gc = world.bus();
    const ask = async (uid = image.metadata.uid) => {
      const reply = await gc.request(HOLDERS_CONFIRM, { images: [{ uid, reference: IMAGE }] }, { timeoutMs: 1000 });
      return reply.images[0]?.verdict;
    };
    expect(await ask()).toBe('held');
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    await eventually('free', async () => (await ask()) === 'free');
    expect(await ask('another-uid')).toBe('unknown');
    const now = world.image(IMAGE)!;
    putImage({ ...now, spec: { ...now.spec, retain: true } });
    expect(await ask()).toBe('held');
    await gc.close();
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

describe('image state', () => {
  it('follows the resource, forgets what is gone, and is filled again when NATS lost it', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await copied();
    const { key } = project(image)!;
    const reader = world.bus();
    const bucket = reader.bucket(IMAGE_STATE);
    const entry = () => bucket.get(key).catch(() => undefined);
    await eventually('state', async () => (await entry())?.value.digest === DIGEST);
    await bucket.delete(key);
    await bucket.put('0000000000000000.00000000000000000000000000000000', (await stateOf(image))!);
    world.server.disconnect();
    world.server.reconnect();
    await eventually('state again', async () => (await entry())?.value.digest === DIGEST);
    await eventually('no stray entry', async () => (await bucket.keys()).length === 1);
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    world.kube.drop(CACHED_IMAGES, { name: image.metadata.name });
    await eventually('no state', async () => (await bucket.keys()).length === 0);
    await reader.close();
  });

  function stateOf(image: Parameters<typeof project>[0]) {
    return Promise.resolve(project(image)?.state);
  }
});

describe('two replicas', () => {
  it('have one leader; the other takes over, and neither writes what is there', async () => {
    world.pod('web', IMAGE);
    const one = world.replica('one');
    const two = world.replica('two');
    await one.start();
    await two.start();
    await summarised();
    await eventually('one leader', () => one.leading !== two.leading);
    const [leader, follower] = one.leading ? [one, two] : [two, one];
    await leader.close();
    world.pod('api', 'quay.io/a/b:1');
    await eventually('the other leads', () => follower.leading);
    await summarised('quay.io/a/b:1');
    expect(world.images()).toHaveLength(2);
    const creations = world.kube.calls.filter(({ verb, resource }) => verb === 'create' && resource === 'cachedimages');
    expect(creations).toHaveLength(2);
  });
});

describe('when a part is away', () => {
  it('keeps intents in the resources while Redis is away', async () => {
    world.redis.away = true;
    world.pod('web', IMAGE);
    await world.replica().start();
    await summarised();
    expect(world.jobs).toEqual([]);
    world.redis.away = false;
    world.pod('api', IMAGE);
    await eventually('the job', () => world.jobs.length === 1);
  });

  it('heals what it missed while it was down', async () => {
    world.pod('web', IMAGE);
    const first = world.replica();
    await first.start();
    await summarised();
    await first.close();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    world.pod('late', 'quay.io/a/b:1');
    await world.replica('next').start();
    await summarised('quay.io/a/b:1');
    await eventually('no holders', () => world.image(IMAGE)?.status?.usedBy?.count === 0);
  });

  it('tries again when the API server refuses or fails', async () => {
    world.pod('web', IMAGE);
    world.kube.failNext('unavailable', { verb: 'create', resource: CACHED_IMAGES, times: 2 });
    world.kube.failNext('conflict', { verb: 'apply', resource: CACHED_IMAGES, times: 2 });
    await world.replica().start();
    await summarised();
    expect(world.images()).toHaveLength(1);
  });
});

/** Every loop had its turn: nothing was asked of the API server for a while. */
async function settled(): Promise<void> {
  let calls = -1;
  await eventually('rest', async () => {
    const count = () => world.kube.calls.filter(({ resource }) => resource !== 'leases').length;
    calls = count();
    await new Promise((resolve) => setTimeout(resolve, 150));
    return count() === calls;
  });
}
