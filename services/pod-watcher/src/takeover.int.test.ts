import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CachedImage, Repository } from '@kuik/contracts';
import { type KubeObject, until } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { HOST, type Replica, startStack, type TestStack } from './testing/stack.ts';
import { asV1Left, v1Definitions, v1Image, v1Repository } from './testing/v1-objects.ts';

/** CachedImages of kuik v1, five to a Repository, and how many are created at a time. */
const IMAGES = sized({ usual: 60, full: 1_000 });
const PER_REPOSITORY = 5;
const AT_ONCE = 16;
const PATH = '/apis/kuik.enix.io/v1alpha1';
const A_PERSONS_DATE = '2031-01-01T00:00:00Z';

type Image = CachedImage & KubeObject;
type Metadata = CachedImage['metadata'] & { readonly managedFields?: readonly { readonly manager: string }[] };

let stack: TestStack;
let replicas: Replica[] = [];
const before = new Map<string, string>();

const sourceOf = (index: number) => `${HOST}/team/app-${Math.floor(index / PER_REPOSITORY)}:1.${index}`;
const nameOf = (index: number) => sourceOf(index).replaceAll(/[^a-z0-9.-]+/g, '-');

beforeAll(async () => {
  stack = await startStack({ definitions: v1Definitions() });
  for (let index = 0; index < IMAGES; index += PER_REPOSITORY) {
    await asV1Left(stack.api, v1Repository(sourceOf(index).replace(/:[^:]*$/, '')));
  }
  for (let from = 0; from < IMAGES; from += AT_ONCE) {
    const indexes = Array.from({ length: Math.min(AT_ONCE, IMAGES - from) }, (_, index) => from + index);
    await Promise.all(indexes.map((index) => asV1Left(stack.api, v1Image(nameOf(index), sourceOf(index)))));
  }
  // Written without registry and tag; the same image twice; one that v1 never finished; a date and a wish that a person has.
  await asV1Left(stack.api, v1Repository('docker.io/library/nginx', { updateInterval: '1h0m0s' }));
  await asV1Left(stack.api, v1Image('docker.io-library-nginx-latest', 'nginx'));
  await asV1Left(stack.api, v1Image('docker.io-library-nginx', 'docker.io/library/nginx:latest'));
  await asV1Left(stack.api, v1Image('unfinished', `${HOST}/unfinished:1`, { phase: 'Synchronizing', isCached: false }));
  await person(nameOf(1), { spec: { expiresAt: A_PERSONS_DATE } });
  await person(nameOf(2), { spec: { retain: true } });
  for (const { metadata } of await stack.images()) before.set(metadata.name, metadata.uid);
  await stack.upgradeDefinitions();
  const containers = [{ name: 'app', image: 'nginx', imagePullPolicy: 'IfNotPresent' }];
  await stack.pod('web', 'nginx', { spec: { containers } });
  await stack.pod('v1-rewritten', `localhost:7439/${HOST}/team/app-0:1.0`, {
    metadata: { labels: { 'kuik.enix.io/managed': 'true' }, annotations: { 'original-image-app': sourceOf(0) } },
  });
  replicas = await Promise.all([stack.start('one'), stack.start('two')]);
}, 120_000);
afterAll(() => stack?.close());

/** What `kubectl edit` sends. */
const person = (name: string, change: object) =>
  stack.api.request('PATCH', `${PATH}/cachedimages/${name}?fieldManager=kubectl-edit`, change, {
    contentType: 'application/merge-patch+json',
  });
const named = async (name: string) => await stack.api.get<Image>(`${PATH}/cachedimages/${name}`);

describe('a cluster of kuik v1', () => {
  it('is taken over: no object is renamed or made anew, none is left out', async () => {
    await until(async () => (await stack.images()).every(({ status }) => (status?.conditions ?? []).length > 0), {
      what: 'every image described',
      timeoutMs: 60_000,
    });
    const after = new Map((await stack.images()).map(({ metadata }) => [metadata.name, metadata.uid]));
    expect(after).toEqual(before);
    for (const { metadata } of await stack.images()) expect(metadata.ownerReferences ?? []).toEqual([]);
    // One intent each, the duplicate none: the copier sees by two HEADs what the cache already holds.
    const counted = (await stack.images()).filter(({ status }) => status?.phase !== 'Duplicate');
    expect(counted).toHaveLength(before.size - 1);
    const raised = () => new Set(stack.jobs.map(({ name }) => name));
    await until(() => raised().size >= counted.length, { what: 'their jobs' });
    expect(raised()).toEqual(new Set(counted.map(({ metadata }) => metadata.name)));
    expect(stack.jobs).toHaveLength(counted.length);
  });

  it('leaves nothing of v1 behind, neither its word nor its finalizers', async () => {
    for (const object of [...(await stack.images()), ...(await stack.repositories())]) {
      const { name, managedFields = [], finalizers = [] } = object.metadata as Metadata;
      expect({ name, writers: managedFields.map(({ manager }) => manager) }).toEqual({
        name,
        writers: expect.not.arrayContaining(['manager']),
      });
      expect(finalizers.filter((finalizer) => !finalizer.startsWith('kuik.enix.io/'))).toEqual([]);
    }
    const { status } = await named(nameOf(3));
    // v1's cache was another one: what it held is not said of ours.
    expect(status).toMatchObject({ phase: 'Waiting', isCached: false, usedBy: { count: 0 } });
    expect(status).not.toHaveProperty('digest');
    expect(status).not.toHaveProperty('lastSuccessfulPull');
  });

  it("knows a date that v1 computed from a person's", async () => {
    const computed = await named(nameOf(3));
    expect(computed.spec).toEqual({ sourceImage: sourceOf(3) });
    expect(Date.parse(computed.status!.expiresAt!)).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    expect((await named(nameOf(1))).spec.expiresAt).toBe(A_PERSONS_DATE);
    expect((await named(nameOf(1))).status?.expiresAt).toBe(A_PERSONS_DATE);
    expect((await named(nameOf(2))).spec).toEqual({ sourceImage: sourceOf(2), retain: true });
  });

  it('reads images as v1 wrote them, in objects and in pods', async () => {
    const [first, second] = [await named('docker.io-library-nginx-latest'), await named('docker.io-library-nginx')];
    const duplicate = first.status?.phase === 'Duplicate' ? first : second;
    const counts = duplicate === first ? second : first;
    expect(duplicate.status).toMatchObject({ phase: 'Duplicate' });
    expect(counts.status).toMatchObject({ usedBy: { count: 1 }, display: { image: 'docker.io/library/nginx:latest' } });
    expect((await named(nameOf(0))).status).toMatchObject({
      usedBy: { count: 1, pods: [{ namespacedName: 'default/v1-rewritten' }] },
    });
  });

  it('takes Repositories over with their wishes', async () => {
    const found = async (): Promise<Repository | undefined> =>
      (await stack.repositories()).find(({ spec, status }) => spec.name.endsWith('/nginx') && status?.images === 1);
    const repository = await until(found, { what: 'the Repository of nginx' });
    expect(repository.metadata.name).toBe('docker.io-library-nginx');
    expect(repository.spec).toEqual({ name: 'docker.io/library/nginx', updateInterval: '1h0m0s' });
    expect(repository.status?.conditions?.map(({ type, reason }) => [type, reason])).toEqual([
      ['Ready', 'Pulling'],
      ['Updates', 'Scheduled'],
    ]);
  });

  it('is at rest after that, and after a restart', async () => {
    const writes = async () =>
      (await Promise.all(replicas.map((replica) => replica.writes()))).reduce((a, b) => a + b, 0);
    let last = -1;
    await until(async () => last === (last = await writes()), {
      what: 'the writes to end',
      everyMs: 500,
      timeoutMs: 30_000,
    });
    await Promise.all(replicas.map((replica) => replica.close()));
    replicas = [await stack.start('three')];
    await until(() => replicas[0]!.leading, { what: 'the next leader' });
    let settled = -1;
    await until(async () => settled === (settled = await writes()), { what: 'rest', everyMs: 500 });
    expect(settled).toBe(0);
  });
});
