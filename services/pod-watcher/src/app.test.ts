import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HOLDERS_CONFIRM, IMAGE_SERVED, IMAGE_STATE, project } from '@kuik/contracts';
import { CACHED_IMAGES, EVENTS, PODS, type KubeObject } from '@kuik/kube';
import { cacheStanza, DIGEST, failedCopy, IMAGE, OTHER_DIGEST, removalStanza } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

describe('a leader', () => {
  it('makes a CachedImage, its Repository and a copy intent of a pod', async () => {
    world.pod('web', IMAGE, { spec: { imagePullSecrets: [{ name: 'regcred' }] } });
    await world.replica().start();
    const image = await world.summarised();
    const [repository] = world.repositories();
    expect(repository).toMatchObject({ spec: { name: 'registry.example.test/shop' } });
    expect(image).toMatchObject({
      metadata: {
        finalizers: ['kuik.enix.io/cached-image'],
        labels: { 'kuik.enix.io/repository': 'registry.example.test-shop' },
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
        fresh: expect.any(String),
      },
    ]);
    expect(image.metadata.ownerReferences).toBeUndefined();
    await eventually('the summary of the repository', () => world.repositories()[0]?.status?.images === 1);
  });

  it('writes twice of a new image: it is made, and described together with its copy (its event is the third)', async () => {
    await world.close();
    world = createWorld({ KUIK_RECONCILE_SETTLE: '1m' });
    world.pod('web', IMAGE);
    await world.replica().start();
    await eventually('its intent', () => world.jobs[0]);
    const image = world.image(IMAGE)!;
    world.putImage({ ...image, status: { cache: cacheStanza({ forUid: image.metadata.uid }) } });
    await eventually('phase Ready', () => world.image(IMAGE)?.status?.phase === 'Ready');
    const writes = world.writes().filter(({ resource }) => resource === 'cachedimages');
    expect(writes.map(({ verb }) => verb)).toEqual(['create', 'apply']);
  });

  it('is at rest once everything is said', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const { key } = project(await world.copied())!;
    await eventually('repository Ready', () => world.repositories()[0]?.status?.phase === 'Ready');
    const bus = world.bus();
    const bucket = bus.bucket(IMAGE_STATE);
    const known = await eventually('state', async () => (await bucket.get(key).catch(() => undefined))?.value);
    const said = [...world.images(), ...world.repositories()].map(({ metadata }) => metadata.name);
    const before = world.writes().length;
    // A relist looks at everything again, and puts wrong states right when it has come to its end.
    await bucket.put(key, { ...known, digest: 'wrong' });
    world.kube.forgetHistory();
    world.kube.endWatches('gone');
    await eventually('the end of a relist', async () => (await bucket.get(key))?.value.digest === DIGEST);
    await world.settled();
    expect(
      world
        .writes()
        .slice(before)
        .filter(({ resource, name }) => resource !== 'events' && said.includes(name)),
    ).toEqual([]);
    expect(world.jobs.filter(({ reference }) => reference === IMAGE)).toHaveLength(1);
    await bus.close();
  });

  it('makes a held image anew after somebody deleted it', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const first = await world.summarised();
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
    const image = await world.summarised();
    const since = new Date().toISOString();
    const heardOf = (ms: number): string => {
      const until = new Date(Date.now() + ms).toISOString();
      const cache = { forUid: image.metadata.uid, copying: { since, until } };
      world.putImage({ ...world.image(IMAGE)!, status: { ...world.image(IMAGE)!.status, cache } });
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

  it('tries a failed copy again when its time has come', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.summarised();
    const soon = new Date(Date.now() + 100).toISOString();
    const cache = { ...failedCopy({ at: new Date().toISOString(), retryAt: soon }), forUid: image.metadata.uid };
    world.putImage({ ...image, status: { ...image.status, cache } });
    const retry = await eventually('a retry', () => world.jobs.find(({ reason }) => reason === 'Retry'));
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(soon));
    expect(retry.uid).toBe(image.metadata.uid);
  });

  it('writes events of what happened, and last pulls', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.copied();
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
    world.putImage({ ...condemned, status: { ...condemned.status, removal } });
    const reasons = () => world.kube.objects<KubeObject & { reason: string }>(EVENTS).map(({ reason }) => reason);
    await eventually('phase Expiring', () => world.image(IMAGE)?.status?.phase === 'Expiring');
    await eventually('events', () => ['Copied', 'ServedStale'].every((reason) => reasons().includes(reason)));
    await proxy.close();
  });

  it('sends the copier to look at an image that a node did not find in the cache, once', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.copied({ copiedAt: new Date(Date.now() - 60_000).toISOString() });
    const proxy = world.bus();
    const report = (digest: string) =>
      proxy.publishDurable(IMAGE_SERVED, {
        node: 'node-1',
        since: new Date().toISOString(),
        images: [],
        missing: [{ repository: 'registry.example.test/shop', digest, at: new Date().toISOString() }],
      });
    await report(OTHER_DIGEST);
    await report(DIGEST);
    const job = await eventually('a job', () => world.jobs[1]);
    expect(job).toMatchObject({ uid: image.metadata.uid, reason: 'ContentMissing', verify: true });
    await report(DIGEST);
    world.pod('late', 'quay.io/a/late:1');
    await eventually('the next job', () => world.jobs.find(({ reference }) => reference === 'quay.io/a/late:1'));
    expect(world.jobs).toHaveLength(3);
    await proxy.close();
  });

  it('answers whether somebody holds an image', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await world.summarised();
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
    world.putImage({ ...now, spec: { ...now.spec, retain: true } });
    expect(await ask()).toBe('held');
    await gc.close();
  });
});

describe('image state', () => {
  it('follows the resource, forgets what is gone, and is filled again when NATS lost it', async () => {
    world.pod('web', IMAGE);
    const replica = world.replica();
    await replica.start();
    const image = await world.copied();
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
    const repairs = async () => (await fetch(`http://127.0.0.1:${replica.healthPort}/metrics`)).text();
    await eventually('the count', async () =>
      /kuik_resync_repairs_total\{what="image-state"\} [1-9]/.test(await repairs()),
    );
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
  const leads = async ({ healthPort }: { healthPort: number }): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
    return Number(/^kuik_leader (\d)$/m.exec(text)![1]);
  };

  it('have one leader; the other takes over, and neither writes what is there', async () => {
    world.pod('web', IMAGE);
    const one = world.replica('one');
    const two = world.replica('two');
    await one.start();
    await two.start();
    await world.summarised();
    await eventually('one leader', () => one.leading !== two.leading);
    const [leader, follower] = one.leading ? [one, two] : [two, one];
    expect([await leads(leader), await leads(follower)]).toEqual([1, 0]);
    await leader.close();
    world.pod('api', 'quay.io/a/b:1');
    await eventually('the other leads', () => follower.leading);
    expect(await leads(follower)).toBe(1);
    await world.summarised('quay.io/a/b:1');
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
    await world.summarised();
    expect(world.jobs).toEqual([]);
    world.redis.away = false;
    world.pod('api', IMAGE);
    await eventually('the job', () => world.jobs.length === 1);
  });

  it('derives the jobs again that Redis may have lost while it was away', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.summarised();
    await eventually('the job', () => world.jobs.length === 1);
    world.redis.returned();
    await eventually('the job again', () => world.jobs.length === 2);
    expect(world.jobs[1]).toMatchObject({ uid: world.jobs[0]!.uid, reason: world.jobs[0]!.reason });
  });

  it('heals what it missed while it was down', async () => {
    world.pod('web', IMAGE);
    const first = world.replica();
    await first.start();
    await world.summarised();
    await first.close();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    world.pod('late', 'quay.io/a/b:1');
    await world.replica('next').start();
    await world.summarised('quay.io/a/b:1');
    await eventually('no holders', () => world.image(IMAGE)?.status?.usedBy?.count === 0);
  });

  it('v1 defect: an image is not made until the controllers are restarted (its pod came while no watch could tell)', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await world.summarised();
    world.kube.endWatches('gone');
    world.kube.forgetHistory();
    world.pod('unseen', 'quay.io/a/b:1');
    world.kube.forgetHistory();
    world.kube.failNext('unavailable', { verb: 'create', resource: CACHED_IMAGES, times: 2 });
    await world.summarised('quay.io/a/b:1');
    expect(world.jobs.map(({ reference }) => reference)).toContain('quay.io/a/b:1');
  });

  it('tries again when the API server refuses or fails', async () => {
    world.pod('web', IMAGE);
    world.kube.failNext('unavailable', { verb: 'create', resource: CACHED_IMAGES, times: 2 });
    world.kube.failNext('conflict', { verb: 'apply', resource: CACHED_IMAGES, times: 2 });
    await world.replica().start();
    await world.summarised();
    expect(world.images()).toHaveLength(1);
  });
});
