import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CredentialClient } from '@kuik/bus';
import { type CachedImage, HOLDERS_CONFIRM, IMAGE_STATE, project } from '@kuik/contracts';
import { type KubeObject, until } from '@kuik/testbed';
import { HOST, type Replica, startStack, type TestStack } from './testing/stack.ts';

const DIGEST = `sha256:${'d'.repeat(64)}`;
const SHOP = `${HOST}/shop:1.0`;

let stack: TestStack;
let replicas: Replica[];

beforeAll(async () => {
  stack = await startStack();
  replicas = await Promise.all([stack.start('one'), stack.start('two')]);
  await until(() => replicas.some(({ leading }) => leading), { what: 'a leader' });
}, 90_000);
afterAll(() => stack?.close());

const wait = <T>(what: string, check: () => Promise<T | undefined | false>) => until<T>(check, { what });
const imageWith = (reference: string, what: string, check: (image: CachedImage) => unknown) =>
  wait(`${reference} ${what}`, async () => {
    const image = await stack.image(reference);
    return image !== undefined && Boolean(check(image)) && image;
  });

describe('pod-watcher on real servers', () => {
  it('makes of a pod a CachedImage, a Repository and a job', async () => {
    await stack.pod('shop', SHOP);
    const image = await imageWith(
      SHOP,
      'summarised',
      ({ status }) => status?.phase === 'Waiting' && status.usedBy?.count === 1,
    );
    expect(image.metadata.finalizers).toEqual(['kuik.enix.io/cached-image']);
    expect(image.status?.display).toMatchObject({ image: SHOP, usedBy: '1' });
    await wait('the job', () => Promise.resolve(stack.jobs.find(({ uid }) => uid === image.metadata.uid)));
    expect(stack.jobs).toEqual([expect.objectContaining({ reference: SHOP, host: HOST, reason: 'NotCached' })]);
    const repository = await wait('the repository', async () =>
      (await stack.repositories()).find(({ status }) => status?.images === 1),
    );
    // An owner that is deleted takes what it owns along: a Repository owns nothing.
    expect(image.metadata.ownerReferences).toBeUndefined();
    const repositories = '/apis/kuik.enix.io/v1alpha1/repositories';
    await stack.api.delete(`${repositories}/${repository.metadata.name}`);
    const anew = await wait('the Repository made anew', async () =>
      (await stack.repositories()).find(
        ({ metadata, status }) => metadata.uid !== repository.metadata.uid && status?.images === 1,
      ),
    );
    expect(anew.spec).toEqual(repository.spec);
    expect((await stack.image(SHOP))?.metadata).toMatchObject({ uid: image.metadata.uid, name: image.metadata.name });
  });

  it('sums up what the others write, and is at rest after that', async () => {
    const image = (await stack.image(SHOP))!;
    await stack.copied(image, DIGEST);
    await imageWith(SHOP, 'ready', ({ status }) => status?.phase === 'Ready' && status.isCached);
    await wait('the repository ready', async () =>
      (await stack.repositories()).some(({ status }) => status?.phase === 'Ready'),
    );
    const total = async () =>
      (await Promise.all(replicas.map((replica) => replica.writes()))).reduce((a, b) => a + b, 0);
    const atRest = async () => {
      let last = -1;
      const same = async () => last === (last = await total());
      await until(same, { what: 'the writes to end', everyMs: 300 });
      return last;
    };
    const before = await atRest();
    // Somebody else's change that means nothing to us: everything about the image is looked at again.
    const annotations = { note: 'x' };
    await stack.api.request(
      'PATCH',
      `/apis/kuik.enix.io/v1alpha1/cachedimages/${image.metadata.name}`,
      { metadata: { annotations } },
      { contentType: 'application/merge-patch+json' },
    );
    expect(await atRest()).toBe(before);
    expect(stack.jobs.filter(({ uid }) => uid === image.metadata.uid)).toHaveLength(1);
  });

  it('makes one object of an image that many pods and a person name at once', async () => {
    const reference = `${HOST}/crowd:1.0`;
    const person = {
      apiVersion: 'kuik.enix.io/v1alpha1',
      kind: 'CachedImage',
      metadata: { name: 'by-hand' },
      spec: { sourceImage: `${HOST}/other:1.0` },
    };
    await Promise.all([
      stack.api.create('/apis/kuik.enix.io/v1alpha1/cachedimages', person),
      ...Array.from({ length: 12 }, (_, index) =>
        stack.pod(`crowd-${index}`, index % 2 ? reference : `localhost:7439/${reference}`),
      ),
      stack.pod('other', `${HOST}/other:1.0`),
    ]);
    await imageWith(reference, 'used by all', ({ status }) => status?.usedBy?.count === 12);
    const named = async (image: string) =>
      (await stack.images()).filter(({ spec }) => spec.sourceImage === image).map(({ metadata }) => metadata.name);
    // Whichever was first: what the service made for itself goes again when the watch shows the person's.
    await wait('by-hand alone', async () => (await named(`${HOST}/other:1.0`)).join() === 'by-hand');
    await imageWith(
      `${HOST}/other:1.0`,
      'adopted',
      ({ metadata, status }) => metadata.finalizers !== undefined && status?.usedBy?.count === 1,
    );
    expect(await named(reference)).toHaveLength(1);
  });

  it('loses no field when every owner writes at once', async () => {
    const reference = `${HOST}/busy:1.0`;
    await stack.pod('busy-0', reference);
    const image = await imageWith(reference, 'there', ({ status }) => status?.phase);
    await Promise.all([
      ...Array.from({ length: 5 }, () => stack.copied(image, DIGEST)),
      ...Array.from({ length: 5 }, (_, index) => stack.pod(`busy-${index + 1}`, reference)),
    ]);
    const settled = await imageWith(
      reference,
      'complete',
      ({ status }) => status?.display?.usedBy === '6' && status.phase === 'Ready',
    );
    expect(settled.status).toMatchObject({ cache: { digest: DIGEST }, usedBy: { count: 6 }, isCached: true });
  });

  it('makes one object and a job of each of fifty new images, and describes them all', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((name) => stack.pod(name, `${HOST}/${name}:1.0`)));
    const uids = (name: string) =>
      new Set(stack.jobs.filter(({ reference }) => reference === `${HOST}/${name}:1.0`).map(({ uid }) => uid)).size;
    await wait('fifty jobs', () => Promise.resolve(names.every((name) => uids(name) > 0)));
    await wait('every summary', async () => (await stack.images()).every(({ status }) => status?.phase !== undefined));
    expect(names.filter((name) => uids(name) !== 1)).toEqual([]);
  });

  it('shows the last pull that a proxy told of', async () => {
    const lastPulled = '2026-11-01T12:00:00.000Z';
    await stack.served(SHOP, lastPulled);
    const image = await imageWith(SHOP, 'pulled', ({ status }) => status?.lastPulled === lastPulled);
    const events = () =>
      stack.api.list<KubeObject & { reason: string; regarding: { uid?: string } }>(
        '/apis/events.k8s.io/v1/namespaces/default/events',
      );
    await wait('events', async () => {
      const own = (await events())
        .filter(({ regarding }) => regarding.uid === image.metadata.uid)
        .map(({ reason }) => reason);
      return own.includes('Copied') && own.includes('ServedStale');
    });
  });

  it('keeps the state of images, and fills it again when NATS lost everything', async () => {
    const image = (await stack.image(SHOP))!;
    const { key } = project(image)!;
    const bucket = stack.gcBus.bucket(IMAGE_STATE);
    const stored = () => bucket.get(key).catch(() => undefined);
    await wait('state', async () => (await stored())?.value.digest === DIGEST);
    await stack.stack.nats.purge();
    await stack.stack.nats.kill();
    await stack.stack.nats.restart();
    await wait('state again', async () => (await stored())?.value.digest === DIGEST);
    expect((await stored())?.value).toMatchObject({ reference: SHOP, uid: image.metadata.uid });
  });

  it('confirms holders as long as one leads', async () => {
    const image = (await stack.image(SHOP))!;
    const verdict = async () => {
      const asked = { images: [{ uid: image.metadata.uid, reference: SHOP }] };
      return (await stack.gcBus.request(HOLDERS_CONFIRM, asked, { timeoutMs: 2000 })).images[0]?.verdict;
    };
    expect(await verdict()).toBe('held');
    await stack.deletePod('shop');
    await wait('free', async () => (await verdict()) === 'free');
    await imageWith(SHOP, 'unused', ({ status }) => status?.usedBy?.count === 0 && status.expiresAt !== undefined);
  });

  it('hands over: the other replica leads, and heals what nobody saw', async () => {
    const [leader, follower] = replicas[0]!.leading ? [replicas[0]!, replicas[1]!] : [replicas[1]!, replicas[0]!];
    expect(follower.leading).toBe(false);
    await leader.close();
    await wait('the follower leads', () => Promise.resolve(follower.leading));
    await follower.close();
    await stack.deletePod('busy-0');
    await stack.pod('missed', `${HOST}/missed:1.0`);
    const held = (await stack.image(`${HOST}/crowd:1.0`))!;
    // Deleted by somebody, its finalizer taken off by gc.
    await stack.api.request('DELETE', `/apis/kuik.enix.io/v1alpha1/cachedimages/${held.metadata.name}`);
    await stack.api.request(
      'PATCH',
      `/apis/kuik.enix.io/v1alpha1/cachedimages/${held.metadata.name}`,
      { metadata: { finalizers: null } },
      { contentType: 'application/merge-patch+json' },
    );
    // The CRD that comes serves another version than the one that was written down.
    const kinds = [{ apiVersion: `${GROUP}/v1alpha1`, kind: 'Canary', podSpecs: ['.spec.sets[*].pod'] }];
    replicas = [await stack.start('three', { usage: { kinds, kindsLookedFor: '200ms' } })];
    await imageWith(`${HOST}/missed:1.0`, 'there', ({ status }) => status?.phase === 'Waiting');
    await imageWith(`${HOST}/busy:1.0`, 'used by five', ({ status }) => status?.usedBy?.count === 5);
    const anew = await imageWith(
      `${HOST}/crowd:1.0`,
      'made anew',
      ({ metadata, status }) => metadata.uid !== held.metadata.uid && status?.phase,
    );
    await wait('its job', () => Promise.resolve(stack.jobs.some(({ uid }) => uid === anew.metadata.uid)));
  });

  it('follows a kind that the configuration names, from when its CRD is there and it may be read', async () => {
    const { controlPlane } = stack.stack;
    const image = `${HOST}/canary:1.0`;
    const ready = async () => (await fetch(`http://127.0.0.1:${replicas[0]!.healthPort}/readyz`)).text();
    expect(await ready()).toContain(`Canary.${GROUP} is served in no version`);
    await controlPlane.applyAll([CANARIES]);
    await stack.api.create(`/apis/${GROUP}/v1/namespaces/default/canaries`, {
      apiVersion: `${GROUP}/v1`,
      kind: 'Canary',
      metadata: { name: 'shop' },
      spec: { sets: [{ pod: { containers: [{ name: 'app', image }] } }] },
    });
    await wait('word that it may not be read', async () =>
      (await ready()).includes(`Canary.${GROUP} may not be listed and watched`),
    );
    expect(replicas[0]!.leading).toBe(false);
    await controlPlane.applyAll(rightsOn(GROUP, 'canaries'));
    const held = await imageWith(image, 'held', ({ status }) => status?.usedBy?.count === 1);
    expect(held.status?.usedBy?.holders).toEqual([{ kind: 'Canary', name: 'default/shop' }]);
    await wait('a leader that knows all', () => Promise.resolve(replicas[0]!.leading));
    expect(await ready()).not.toContain('warnings');
  });
});

const GROUP = 'holders.example.test';
const CANARIES = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `canaries.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { kind: 'Canary', plural: 'canaries' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** What the chart grants for a kind of its values. */
function rightsOn(group: string, plural: string): object[] {
  const named = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'kuik-pod-watcher-kinds' } };
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kuik-pod-watcher-kinds' };
  const subjects = [{ kind: 'ServiceAccount', name: 'kuik-pod-watcher', namespace: 'kuik-system' }];
  return [
    { ...named, kind: 'ClusterRole', rules: [{ apiGroups: [group], resources: [plural], verbs: ['list', 'watch'] }] },
    { ...named, kind: 'ClusterRoleBinding', roleRef: role, subjects },
  ];
}

describe('the credential broker on real servers', () => {
  const PRIVATE = `${HOST}/team/private:1.0`;
  const auth = (username: string) => Buffer.from(`${username}:hunter2`).toString('base64');

  beforeAll(async () => {
    await stack.faults.host(HOST).auth({
      scheme: 'bearer',
      users: [
        { username: 'robot', password: 'hunter2', repositories: ['team/*'] },
        { username: 'poor', password: 'hunter2', repositories: ['elsewhere/*'] },
      ],
      refuse: 'empty-token',
    });
    const secret = (name: string, username: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [HOST]: { auth: auth(username) } } }) },
    });
    await stack.api.create('/api/v1/namespaces/default/secrets', secret('a-poor', 'poor'));
    await stack.api.create('/api/v1/namespaces/default/secrets', secret('b-robot', 'robot'));
    await stack.api.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'team', namespace: 'default' },
      imagePullSecrets: [{ name: 'b-robot' }],
    });
    await stack.stack.controlPlane.node('node-2');
    const spec = {
      serviceAccountName: 'team',
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: 'a-poor' }],
    };
    await stack.pod('private', PRIVATE, { node: 'node-2', spec });
  });

  it('gives the node of a pod a pull-only token of its repository, found among all its secrets', async () => {
    const proxy = await stack.proxyOn('node-2');
    const credential = await proxy.credential(HOST, 'team/private');
    expect(credential).toMatchObject({ kind: 'bearer' });
    const { token, expiresAtMs } = credential as { token: string; expiresAtMs: number };
    expect(expiresAtMs).toBeGreaterThan(Date.now());
    const answer = await stack.ask('team/private', `Bearer ${token}`);
    expect([200, 404]).toContain(answer);
    expect(await stack.ask('team/other', `Bearer ${token}`)).toBe(401);
    expect(await stack.ask('team/private', `Bearer ${token}`, 'PUT')).toBe(401);
  });

  it('gives what an image needs that only a workload without pods holds to our services, and to no node', async () => {
    const template = {
      metadata: { labels: { app: 'idle' } },
      spec: { serviceAccountName: 'team', containers: [{ name: 'app', image: `${HOST}/team/idle:1.0` }] },
    };
    await stack.api.create('/apis/apps/v1/namespaces/default/deployments', {
      metadata: { name: 'idle' },
      spec: { replicas: 0, selector: { matchLabels: { app: 'idle' } }, template },
    });
    await imageWith(`${HOST}/team/idle:1.0`, 'held', ({ status }) => status?.usedBy?.count === 1);
    const copier = await stack.copier();
    const { token } = (await copier.credential(HOST, 'team/idle')) as { token: string };
    expect([200, 404]).toContain(await stack.ask('team/idle', `Bearer ${token}`));
    const proxy = await stack.proxyOn('node-2');
    await expect(proxy.credential(HOST, 'team/idle')).rejects.toMatchObject({ failure: 'brokerDenied' });
  });

  it('refuses another node, and another repository', async () => {
    const other = await stack.proxyOn('node-1');
    await expect(other.credential(HOST, 'team/private')).rejects.toMatchObject({ failure: 'brokerDenied' });
    const own = await stack.proxyOn('node-2');
    await expect(own.credential(HOST, 'team/secret')).rejects.toMatchObject({ failure: 'brokerDenied' });
  });

  it('says to our services which secrets were refused when the password is wrong everywhere, to a node how many', async () => {
    await stack.faults.host(HOST).auth({ scheme: 'basic', users: [{ username: 'else', password: 'x' }] });
    const told = async (client: CredentialClient): Promise<string> => {
      const asked = client.credential(HOST, 'team/private', { renew: true });
      const error = await asked.catch((caught: unknown) => caught as Error);
      expect(error).toMatchObject({ failure: 'unauthorized' });
      return (error as Error).message;
    };
    const service = await told(await stack.copier());
    expect(service).toContain('(pull secrets default/a-poor, default/b-robot; anonymous)');
    expect(service).not.toContain('hunter2');
    // Whoever pulls on the node reads this: the secrets may be another namespace's.
    const node = await told(await stack.proxyOn('node-2'));
    expect(node).toContain('2 pull secrets, anonymous');
    expect(node).not.toMatch(/a-poor|b-robot|hunter2/);
  });

  it('gives the header of a Basic-only registry', async () => {
    await stack.faults.host(HOST).auth({ scheme: 'basic', users: [{ username: 'robot', password: 'hunter2' }] });
    const proxy = await stack.proxyOn('node-2');
    const credential = await proxy.credential(HOST, 'team/private', { renew: true });
    expect(credential).toMatchObject({ kind: 'header', value: `Basic ${auth('robot')}` });
  });
});
