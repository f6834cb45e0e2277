import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES, EVENTS, type KubeObject, NAMESPACES, PODS, REPOSITORIES } from '@kuik/kube';
import {
  type CachedImage,
  HOLDERS_CONFIRM,
  IMAGE_SERVED,
  IMAGE_STATE,
  IMAGE_USED,
  project,
  type Repository,
} from '@kuik/contracts';
import { cacheStanza, DIGEST, failedCopy, IMAGE, OTHER_DIGEST, removalStanza } from './testing/objects.ts';
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
    expect(image.metadata.ownerReferences).toBeUndefined();
    await eventually('the summary of the repository', () => world.repositories()[0]?.status?.images === 1);
  });

  it('makes a Repository anew that a person deleted, and leaves its images as they are', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await copied();
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

  it('takes a Repository off the owners of images that an earlier version made, and leaves other owners', async () => {
    const owner = (kind: string, apiVersion: string) => ({
      apiVersion,
      kind,
      name: kind.toLowerCase(),
      uid: `uid-${kind}`,
    });
    const other = owner('Deployment', 'apps/v1');
    const theirs = owner('Repository', 'source.example.test/v1');
    putImage({
      metadata: { name: 'old', ownerReferences: [owner('Repository', 'kuik.enix.io/v1alpha1'), other, theirs] },
      spec: { sourceImage: IMAGE },
    });
    await world.replica().start();
    await eventually('no owner of ours', () => world.image(IMAGE)?.metadata.ownerReferences?.length === 2);
    expect(world.image(IMAGE)?.metadata.ownerReferences).toEqual([other, theirs]);
  });

  it('is at rest once everything is said', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const { key } = project(await copied())!;
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
    await settled();
    expect(
      world
        .writes()
        .slice(before)
        .filter(({ resource, name }) => resource !== 'events' && said.includes(name)),
    ).toEqual([]);
    expect(world.jobs.filter(({ reference }) => reference === IMAGE)).toHaveLength(1);
    await bus.close();
  });

  it('says in one write what a new holder changes', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await copied();
    await eventually('repository Ready', () => world.repositories()[0]?.status?.phase === 'Ready');
    await settled();
    const before = world.writes().length;
    const said = [...world.images(), ...world.repositories()].map(({ metadata }) => metadata.name);
    world.pod('api', IMAGE);
    await eventually('two holders', () => world.image(IMAGE)?.status?.usedBy?.count === 2);
    expect(world.image(IMAGE)?.status?.display?.usedBy).toBe('2');
    await settled();
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
    await copied();
    for (const name of ['api', 'db', 'job']) world.pod(name, IMAGE);
    await settled();
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
    await copied();
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

  it.each([
    [
      'is no reference',
      'registry.example.test:70000/shop',
      'NotAReference',
      /is not a registry host; delete this CachedImage/,
    ],
    ['has no place in the cache', '[fd00::1]:5000/shop', 'NotEncodable', /give the registry a host name; delete this/],
  ])('says of an image that it %s, once, and asks for no copy of it', async (_, sourceImage, reason, message) => {
    putImage({ metadata: { name: 'odd' }, spec: { sourceImage } });
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
    await summarised();
    world.kube.forgetHistory();
    world.kube.endWatches('gone');
    const lists = () =>
      world.kube.calls.filter(({ verb, resource }) => verb === 'list' && resource === 'cachedimages').length;
    const listed = lists();
    await eventually('a relist', () => lists() > listed);
    await settled();
    expect(odd()).toEqual(told);
    const kept = ({ spec }: Repository) => !spec.name.startsWith(LATER);
    expect(world.repositories().filter(kept)).toHaveLength(1);
    const jobs = world.jobs.filter(({ reference }) => !reference.startsWith(LATER));
    expect([...new Set(jobs.map(({ reference }) => reference))]).toEqual([IMAGE]);
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
    await summarised();
    expect(project(world.image(IMAGE)!)?.state.requestId).toBe('r-1');
    expect(world.images()).toHaveLength(1);
    expect(world.repositories()).toHaveLength(1);
    await Promise.all([webhook.close(), gc.close()]);
  });

  it('copies again at a hint what gc removed, and does not take the image for used', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await copied();
    world.kube.drop(PODS, { namespace: 'default', name: 'web' });
    const unused = await eventually('its expiry', () =>
      world.image(IMAGE)?.status?.expiresAt ? world.image(IMAGE) : undefined,
    );
    const removal = removalStanza({ forUid: unused.metadata.uid, removedAt: new Date().toISOString() });
    putImage({ ...unused, status: { ...unused.status, removal } });
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

  it('asks upstream again when a Repository wants it, from the moment that it says so', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    await copied({ copiedAt: '2026-01-01T00:00:00.000Z' });
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
    putImage({
      ...image,
      status: {
        ...image.status,
        cache: cacheStanza({ forUid: image.metadata.uid, copiedAt: new Date().toISOString() }),
      },
    });
    await settled();
    expect(world.jobs.filter(({ reference }) => reference === IMAGE)).toHaveLength(2);
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

  it('sends the copier to look at an image that a node did not find in the cache, once', async () => {
    world.pod('web', IMAGE);
    await world.replica().start();
    const image = await copied({ copiedAt: new Date(Date.now() - 60_000).toISOString() });
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

  it('v1 defect: a deleted namespace leaves references to its pull secrets behind', async () => {
    world.kube.put(NAMESPACES, { metadata: { name: 'default' } });
    world.pod('web', IMAGE, { spec: { imagePullSecrets: [{ name: 'regcred' }] } });
    await world.replica().start();
    await copied();
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

describe('image state', () => {
  it('follows the resource, forgets what is gone, and is filled again when NATS lost it', async () => {
    world.pod('web', IMAGE);
    const replica = world.replica();
    await replica.start();
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
    await summarised();
    await eventually('one leader', () => one.leading !== two.leading);
    const [leader, follower] = one.leading ? [one, two] : [two, one];
    expect([await leads(leader), await leads(follower)]).toEqual([1, 0]);
    await leader.close();
    world.pod('api', 'quay.io/a/b:1');
    await eventually('the other leads', () => follower.leading);
    expect(await leads(follower)).toBe(1);
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

const leading = () =>
  eventually('leading', () => world.kube.calls.some(({ resource, verb }) => resource === 'pods' && verb === 'watch'));

let laterComers = 0;

/** Whatever was set off before has had its turn: something that came after it has gone all the way. */
async function settled(): Promise<void> {
  laterComers += 1;
  const image = `${LATER}/a${laterComers}/b:1`;
  world.pod(`later-${laterComers}`, image);
  await summarised(image);
  await eventually('its repository', () =>
    world.repositories().some(({ spec, status }) => spec.name === image.slice(0, -2) && status?.phase !== undefined),
  );
}

/** What is there for anything but to see that the rest has settled. */
const LATER = 'later.example.test';
