import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@kuik/bus';
import { type CachedImage, HOLDERS_CONFIRM, IMAGE_USED } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  CRON_JOBS,
  DEPLOYMENTS,
  KubeError,
  type KubeErrorCode,
  PODS,
  REPLICA_SETS,
  type Resource,
} from '@kuik/kube';
import { cacheStanza, DAY, IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

const ROLLOUTS: Resource = {
  ...DEPLOYMENTS,
  group: 'argoproj.io',
  version: 'v1alpha1',
  plural: 'rollouts',
  kind: 'Rollout',
};
const KINDS = JSON.stringify([
  { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', podTemplates: ['.spec.template'] },
]);

/** What the API server does with lists of a collection, by its plural. */
const refused = new Map<string, KubeErrorCode>();
/** How far the wall clock is ahead, ms. */
let ahead = 0;
let world: ReturnType<typeof createWorld>;
let gc: Bus;

function begin(env: Record<string, string> = {}): void {
  world = createWorld(
    { KUIK_RECONCILE_PATIENCE: '100ms', KUIK_USAGE_KINDS_LOOKED_FOR: '100ms', ...env },
    { now: () => Date.now() + ahead, monotonic: () => performance.now() },
  );
  const { kube } = world;
  const pages = kube.pages.bind(kube);
  kube.pages = (resource, options) => {
    const code = refused.get(resource.plural);
    if (code === undefined) return pages(resource, options);
    throw new KubeError(code, `lists of ${resource.plural}: ${code}, as the test wished`);
  };
  kube.raw = <T>() =>
    refused.has('discovery')
      ? Promise.reject(new KubeError('not-found', 'no such group'))
      : Promise.resolve({ resources: [{ name: 'rollouts', kind: 'Rollout', namespaced: true }] } as T);
  gc = world.bus();
}
beforeEach(() => {
  refused.clear();
  ahead = 0;
  begin();
});
afterEach(async () => {
  await gc.close();
  await world.close();
});

const template = (image: string, spec = {}) => ({ spec: { containers: [{ name: 'app', image }], ...spec } });
const put = (resource: Resource, name: string, spec: object, metadata = {}) =>
  world.kube.put(resource, { metadata: { name, namespace: 'shop', ...metadata }, spec } as never);
const drop = (resource: Resource, name: string) => world.kube.drop(resource, { namespace: 'shop', name });
const status = () => world.image(IMAGE)?.status;
const described = (what: string, check: (status: NonNullable<CachedImage['status']>) => unknown) =>
  eventually(what, () => (status()?.phase !== undefined && check(status()!) ? status() : undefined));
const confirm = async (): Promise<string> => {
  const { uid } = world.image(IMAGE)!.metadata;
  const asked = { images: [{ uid, reference: IMAGE }] };
  const reply = await gc.request(HOLDERS_CONFIRM, asked, { timeoutMs: 150 }).catch(() => undefined);
  return reply?.images[0]?.verdict ?? 'silence';
};
const byPerson = () =>
  world.kube.put<CachedImage>(CACHED_IMAGES, { metadata: { name: 'mine' }, spec: { sourceImage: IMAGE } });

describe('what holds an image beside pods', () => {
  it('a Deployment without pods: it is made, copied with the secrets of its template, and kept', async () => {
    put(DEPLOYMENTS, 'web', { replicas: 0, template: template(IMAGE, { imagePullSecrets: [{ name: 'regcred' }] }) });
    await world.replica().start();
    expect(await described('a holder', ({ usedBy }) => usedBy?.count === 1)).toMatchObject({
      usedBy: { pods: [], holders: [{ kind: 'Deployment', name: 'shop/web' }] },
      pullSecrets: [{ namespace: 'shop', name: 'regcred' }],
      display: { usedBy: '1' },
    });
    expect(world.jobs).toMatchObject([{ reference: IMAGE, reason: 'NotCached' }]);
    expect(await confirm()).toBe('held');
    drop(DEPLOYMENTS, 'web');
    await described('nobody', ({ usedBy, expiresAt }) => usedBy?.count === 0 && expiresAt);
    expect(await confirm()).toBe('free');
  });

  it('a suspended CronJob, the ReplicaSet before the current one, and no older one', async () => {
    await gc.close();
    await world.close();
    begin({ KUIK_USAGE_REVISIONS: '1' });
    const [old, previous, current] = ['1', '2', '3'].map((tag) => `registry.example.test/app:${tag}`);
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'app', uid: 'd', controller: true }];
    for (const [index, image] of [old, previous, current].entries()) {
      const annotations = { 'deployment.kubernetes.io/revision': String(index + 1) };
      const spec = { replicas: index === 2 ? 1 : 0, template: template(image!) };
      put(REPLICA_SETS, `app-${index + 1}`, spec, { ownerReferences, annotations });
    }
    put(CRON_JOBS, 'nightly', { suspend: true, jobTemplate: { spec: { template: template(IMAGE) } } });
    await world.replica().start();
    const made = () =>
      world
        .images()
        .map(({ spec }) => spec.sourceImage)
        .sort();
    await eventually('three images', () => made().length === 3);
    await described('its holder', ({ usedBy }) => usedBy?.count === 1);
    expect(made()).toEqual([previous, current, IMAGE]);
  });

  it('an object of a configured kind, from when its CRD is there', async () => {
    await gc.close();
    await world.close();
    begin({ KUIK_USAGE_KINDS: KINDS });
    refused.set('discovery', 'not-found');
    byPerson();
    put(ROLLOUTS, 'canary', { template: template(IMAGE) });
    const replica = world.replica();
    await replica.start();
    const ready = async () => (await fetch(`http://127.0.0.1:${replica.healthPort}/readyz`)).text();
    await described('no holder', ({ usedBy }) => usedBy?.count === 0);
    expect(await confirm()).toBe('free');
    expect(await ready()).toContain('Rollout.argoproj.io is served in no version');
    refused.clear();
    const { usedBy } = await described('a holder', ({ usedBy }) => usedBy?.count === 1);
    expect(usedBy?.holders).toEqual([{ kind: 'Rollout', name: 'shop/canary' }]);
    expect(await ready()).not.toContain('warnings');
    drop(ROLLOUTS, 'canary');
    await described('no holder', ({ usedBy }) => usedBy?.count === 0);
  });
});

describe('while not everybody can be seen', () => {
  it('a kind that may not be read: all goes on, nothing is unused, and a person is told', async () => {
    refused.set('deployments', 'forbidden');
    byPerson();
    world.pod('api', 'registry.example.test/api:1');
    const replica = world.replica();
    await replica.start();
    const { conditions, unusedSince } = await described('its state', ({ usedBy }) => usedBy?.unread?.length);
    expect(conditions?.find(({ type }) => type === 'Held')).toMatchObject({
      status: 'Unknown',
      reason: 'HoldersUnknown',
      message: 'nobody is known to use it, but these cannot be read: deployments; it stays until they can',
    });
    expect(unusedSince).toBeUndefined();
    await eventually('the copy of what a pod uses', () =>
      world.jobs.some(({ reference }) => reference.endsWith('/api:1')),
    );
    expect(await confirm()).toBe('silence');
    const ready = await fetch(`http://127.0.0.1:${replica.healthPort}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining('deployments may not be listed')]);
    refused.clear();
    await described('the time unused', ({ usedBy, unusedSince }) => usedBy?.unread === undefined && unusedSince);
    expect(await confirm()).toBe('free');
  });

  it('a list that fails at a restart: what is recorded stays word for word, and nothing is confirmed', async () => {
    put(DEPLOYMENTS, 'web', { replicas: 0, template: template(IMAGE) });
    const first = world.replica('first');
    await first.start();
    await described('a holder', ({ usedBy }) => usedBy?.count === 1);
    const image = world.image(IMAGE)!;
    world.kube.put<CachedImage>(CACHED_IMAGES, {
      ...image,
      status: { ...image.status, cache: cacheStanza({ forUid: image.metadata.uid }) },
    });
    const before = await described('phase Ready', ({ phase }) => phase === 'Ready');
    await first.close();
    refused.set('deployments', 'unavailable');
    const writes = world.writes().length;
    const second = world.replica('second');
    await second.start();
    world.pod('api', 'registry.example.test/api:1');
    await eventually('work on the rest', () => world.image('registry.example.test/api:1')?.status?.phase);
    expect(await confirm()).toBe('silence');
    expect(status()).toEqual(before);
    expect(
      world
        .writes()
        .slice(writes)
        .filter(({ name }) => name === image.metadata.name),
    ).toEqual([]);
    expect(second.leading).toBe(false);
    refused.clear();
    await eventually('everything', () => second.leading);
    expect(await confirm()).toBe('held');
    expect(status()).toEqual(before);
  });

  it('a clock that jumps forgets no pod that was just admitted', async () => {
    byPerson();
    await world.replica().start();
    await described('nobody', ({ unusedSince }) => unusedSince);
    expect(await confirm()).toBe('free');
    const webhook = world.bus();
    webhook.publish(IMAGE_USED, { namespace: 'default', pullSecrets: [], images: [IMAGE], requestId: 'r-1' });
    await eventually('the hint', async () => (await confirm()) === 'held');
    ahead = 120 * DAY;
    expect(await confirm()).toBe('held');
    await webhook.close();
  });

  it('a clock that jumps 120 days ahead and back makes nobody let go', async () => {
    put(DEPLOYMENTS, 'web', { replicas: 0, template: template(IMAGE) });
    await world.replica().start();
    const before = await described('a holder', ({ usedBy }) => usedBy?.count === 1);
    for (const days of [120, -120, 0]) {
      ahead = days * DAY;
      world.pod('api', IMAGE);
      await described('two holders', ({ usedBy }) => usedBy?.count === 2);
      world.kube.drop(PODS, { namespace: 'default', name: 'api' });
      const { expiresAt } = await described('one holder', ({ usedBy }) => usedBy?.count === 1);
      expect([expiresAt, await confirm()]).toEqual([undefined, 'held']);
    }
    expect(status()?.usedBy).toEqual(before.usedBy);
  });
});

describe('GET /why-kept', () => {
  const ask = async (query: string, accept = '*/*') => {
    const replica = world.replica();
    await replica.start();
    await described('its state', () => true);
    const url = `http://127.0.0.1:${replica.healthPort}/why-kept${query}`;
    const answer = await fetch(url, { headers: { accept } });
    return { status: answer.status, text: await answer.text() };
  };
  beforeEach(() => {
    put(DEPLOYMENTS, 'web', { replicas: 0, template: template(IMAGE) });
    world.pod('web-1', IMAGE);
  });

  it.each<[string, string, number, string]>([
    [
      'who holds it, line by line',
      IMAGE,
      200,
      `${IMAGE} is kept\nInUse           held by Deployment shop/web\nInUse           held by Pod default/web-1\n`,
    ],
    [
      'of an image as a running pod names it',
      `localhost:7439/${IMAGE}`,
      200,
      `${IMAGE} is kept\nInUse           held by Deployment shop/web\nInUse           held by Pod default/web-1\n`,
    ],
    ['what nobody knows', 'quay.io/a/b:1', 404, 'no CachedImage stands for quay.io/a/b:1, and nobody holds it\n'],
    [
      'what is no reference',
      'a:b:c',
      400,
      'image is missing or no reference: ask for example /why-kept?image=docker.io/library/nginx:1.27\n',
    ],
  ])('tells %s', async (_name, image, code, text) => {
    expect(await ask(`?image=${encodeURIComponent(image)}`)).toEqual({ status: code, text });
  });

  it.each([
    ['that it is condemned, of this object', {}, true],
    ['nothing of the removal of another object', { forUid: 'of-old' }, false],
  ])('tells %s', async (_name, change, told) => {
    byPerson();
    const { uid } = world.image(IMAGE)!.metadata;
    const [condemnedAt, removedAt] = ['2026-11-01T12:00:00Z', '2026-11-01T12:05:00Z'];
    const removal = { forUid: uid, condemnedAt, removedAt, reason: 'Unused', epoch: 1, ...change };
    world.kube.put<CachedImage>(CACHED_IMAGES, { ...world.image(IMAGE)!, status: { removal } });
    const going = `condemned at ${condemnedAt} (Unused)\nremoved from the cache at ${removedAt}\n`;
    expect((await ask(`?image=${IMAGE}`)).text.includes(going)).toBe(told);
  });

  it('tells programs the same', async () => {
    const { text } = await ask(`?image=${IMAGE}`, 'application/json');
    expect(JSON.parse(text) as object).toMatchObject({
      image: IMAGE,
      kept: true,
      reasons: [
        { reason: 'InUse', holders: { kind: 'Deployment', count: 1, names: ['shop/web'] } },
        { reason: 'InUse', holders: { kind: 'Pod', count: 1, names: ['default/web-1'] } },
      ],
    });
  });
});
