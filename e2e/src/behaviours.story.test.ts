import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeImage, makeIndex, type MadeImage, type PushedImage } from '@kuik/testbed';
import { errorOf, type Answer } from './behaviours/raw-client.ts';
import { ShopFloor } from './behaviours/shop-floor.ts';
import { LocalStack, ONE_OF_EACH } from './stack/local-stack.ts';
import { untilReady } from './story/cached-images.ts';
import { nameRepository } from './story/name-repository.ts';
import type { Pod } from './story/pods.ts';
import { HOST } from './story/world.ts';

/*
 * Behaviours of the Go predecessor, run and seen; each is a test of ours, here or elsewhere:
 *   digests never rewritten nor cached; the index filtered       main-job.story (copied, pulled by digest), image-copier copier.int
 *   an index child without platform; two references, one object;
 *   190-character repository with a 100-character tag            image-copier copier.int; names: packages/image
 *   4 pods on a registry that never answers                      image-copier copier-trouble.int
 *   upstream 401, refused, unknown; names that are no reference;
 *   writes through the proxy; upstream hangs; cache frozen or killed; empty patches at start; webhook down;
 *   private images; deleting and expiring; tags that change     here
 *   malformed AdmissionReviews, ephemeral containers, dry run    webhook admit, review and webhook.int
 *   a moved tag for ever `upToDate: true`                        monitor.int, pod-watcher summary; how it is served: moving-tags.story
 * The broker answers for the pods of the proxy's node. Who may pull what is cached: private-images.story.
 */
const MiB = 1024 * 1024;
const SLOW = 'docker.io';
/** What is asked for in good faith. */
const KNOWN = ['big', 'frozen', 'kept', 'worn', 'pair', 'moves', 'fresh', 'nowhere', 'denied/app', 'denied/other'];

let stack: LocalStack;
let floor: ShopFloor;
let big: MadeImage;
let kept: MadeImage;
const pushed: Record<string, PushedImage> = {};
/** Pods that were created while the webhook was dead, as the API server stored them. */
const unhooked: Pod[] = [];
/** Asked at the beginning, answered when upstream was given up. */
let hanging: Promise<Answer>;

async function supply(repository: string, tags: readonly string[], image: MadeImage): Promise<void> {
  pushed[repository] = await floor.push(repository, tags, image);
}
const ready = (...images: string[]) =>
  untilReady(
    stack.api,
    images.map((image) => `${HOST}/${image}`),
    () => undefined,
    60_000,
  );
const use = (image: string) => floor.pod(image.replaceAll(/[^a-z0-9]/g, '-'), `${HOST}/${image}`);

beforeAll(async () => {
  stack = await LocalStack.lease({ replicas: ONE_OF_EACH });
  floor = new ShopFloor(stack);
  stack.faults.host(SLOW).on().hang();
  await nameRepository(stack.api, `${SLOW}/library/nowhere`);
  hanging = floor.raw(`/v2/${SLOW}/library/nowhere/manifests/1`);
  big = await makeImage({ seed: 'behaviours/big', layers: [{ bytes: 96 * MiB, encoding: 'raw' }] });
  await supply('big', ['1'], big);
  await supply('frozen', ['1'], await makeImage({ seed: 'behaviours/frozen', layers: [MiB] }));
  kept = await makeIndex({ seed: 'behaviours/kept', layers: [2000] });
  await supply('kept', ['1'], kept);
  await supply('pair', ['1.0', '1.0.0'], await makeImage({ seed: 'behaviours/pair' }));
  await supply(
    'worn',
    ['1'],
    await makeImage({ seed: 'behaviours/worn', layers: [{ bytes: 3 * MiB, encoding: 'raw' }] }),
  );
  await supply('moves', ['1'], await makeImage({ seed: 'behaviours/moves/1' }));
  await supply('fresh', ['1', '2'], await makeImage({ seed: 'behaviours/fresh' }));
  const [webhook] = stack.services.webhook;
  await webhook!.kill('SIGKILL');
  unhooked.push(await use('pair:1.0'), await use('pair:1.0.0'));
  await webhook!.restart();
  const images = ['big:1', 'frozen:1', 'kept:1', 'worn:1', 'moves:1'];
  for (const image of images) await use(image);
  await ready(...images);
}, 120_000);
afterAll(() => stack?.stop());

describe('a client is answered as the distribution spec says', () => {
  it('when upstream refuses: 401 to the node of a pod that has no credential, 403 to any other', async () => {
    stack.faults.host(HOST).on({ repository: 'denied/*' }).unauthorized();
    await use('denied/app:1');
    const told = async () => (await floor.image(`${HOST}/denied/app:1`))?.status?.cache?.error?.code;
    await floor.until('the copy to be refused', async () => (await told()) === 'KUIK-REG-401');
    const [app, other] = [await floor.get('denied/app/manifests/1'), await floor.get('denied/other/manifests/1')];
    expect(errorOf(app)).toEqual({ status: 401, oci: 'UNAUTHORIZED', kuik: 'KUIK-REG-401' });
    expect(errorOf(other)).toEqual({ status: 403, oci: 'DENIED', kuik: 'KUIK-CRD-403' });
  });

  it('when no pod and no resource names anything of a registry: that is not asked', async () => {
    // A registry that a Repository names is: `hanging`.
    const answer = await floor.raw('/v2/strange.example.test/x/manifests/1');
    expect(errorOf(answer)).toEqual({ status: 403, oci: 'DENIED', kuik: 'KUIK-ACC-404' });
  });

  it('when upstream does not have it', async () => {
    const answer = await floor.get('nowhere/manifests/1');
    expect(errorOf(answer)).toEqual({ status: 404, oci: 'MANIFEST_UNKNOWN', kuik: 'KUIK-REG-404' });
    expect(answer.headers['content-type']).toContain('application/json');
  });

  it('when upstream cannot be reached', async () => {
    await stack.faults.host(HOST).down();
    const answer = await floor.get('fresh/manifests/1');
    const cached = await floor.get('kept/manifests/1');
    await stack.faults.host(HOST).up();
    expect(errorOf(answer)).toEqual({ status: 503, oci: 'UNKNOWN', kuik: 'KUIK-REG-503' });
    expect([cached.status, cached.digest]).toEqual([200, pushed['kept']!.digest]);
  });

  it.each([
    ['upper case', `/v2/${HOST}/UPPER/manifests/1`, 400],
    ['6,000 characters', `/v2/${HOST}/${'a'.repeat(6000)}/manifests/1`, 400],
    ['an encoded zero', `/v2/${HOST}/a%00b/manifests/1`, 400],
    ['dots that climb', `/v2/${HOST}/../../etc/manifests/1`, 400],
    ['encoded dots that climb', `/v2/${HOST}/%2e%2e/x/manifests/1`, 400],
    ['a tag that is none', `/v2/${HOST}/kept/manifests/-x`, 400],
    ['a digest that is none', `/v2/${HOST}/kept/blobs/sha256:xyz`, 400],
    ['no route of a registry', '/v2x', 404],
  ])('%s is no reference: nothing leaves', async (_name, target, status) => {
    const error = errorOf(await floor.raw(target));
    expect([error.status, error.kuik.startsWith('KUIK-PRX-')]).toEqual([status, true]);
    expect(floor.strangeRequests(KNOWN)).toEqual([]);
  });

  it.each(['PUT', 'DELETE', 'PATCH', 'POST'])(
    '%s is not forwarded, neither to the cache nor upstream',
    async (method) => {
      for (const rest of ['kept/manifests/1', 'kept/manifests/new', 'kept/blobs/uploads/']) {
        const answer = await floor.get(rest, { method, body: '{}' });
        expect(errorOf(answer)).toEqual({ status: 405, oci: 'UNSUPPORTED', kuik: 'KUIK-PRX-405' });
        expect(answer.headers.allow).toBe('GET, HEAD');
      }
      expect(floor.strangeRequests(KNOWN)).toEqual([]);
      expect(await floor.inCache(`${HOST}/kept:1`)).toBe(pushed['kept']!.digest);
      expect(await floor.inCache(`${HOST}/kept:new`)).toBeUndefined();
    },
  );
});

describe('what never answers is waited for within bounds', () => {
  it('upstream hangs: what is cached is served meanwhile, what is not gets its 504', async () => {
    const cached = await floor.get(`kept/manifests/${pushed['kept']!.digest}`);
    expect([cached.status, cached.ms < 1_000]).toEqual([200, true]);
    const answer = await hanging;
    expect(errorOf(answer)).toEqual({ status: 504, oci: 'UNKNOWN', kuik: 'KUIK-REG-504' });
    expect(answer.ms).toBeLessThan(15_000);
  });

  it('the cache registry is frozen: upstream serves, and soon without waiting for it', async () => {
    const reader = stack.stack.cache.reader;
    const blobs = Object.keys(pushed['frozen']!.blobs);
    const pulls: Answer[] = [];
    await reader.kill('SIGSTOP');
    try {
      // Three failures, at most 3 s each, then the cache is spared.
      for (let round = 0; round < 4; round += 1) pulls.push(await floor.get(`frozen/blobs/${blobs[round % 2]}`));
      pulls.push(await floor.get('fresh/manifests/1'));
    } finally {
      await reader.kill('SIGCONT');
    }
    expect(pulls.map(({ status, complete, digest }) => [status, complete, digest])).toEqual(
      [...blobs, ...blobs, pushed['fresh']!.digest].map((digest) => [200, true, digest]),
    );
    expect(pulls.filter(({ ms }) => ms > 3_500)).toEqual([]);
    expect(pulls.slice(3).filter(({ ms }) => ms > 1_000)).toEqual([]);
    const [proxy] = stack.services['node-proxy'];
    const fromCache = () => stack.metric(proxy!, 'kuik_proxy_requests_total', { kind: 'blob', origin: 'cache' });
    await floor.until('the cache to be asked again', async () => {
      const before = await fromCache();
      await floor.get(`frozen/blobs/${blobs[0]}`);
      return (await fromCache()) > before;
    });
  });

  it('the cache registry is killed in mid-blob: the rest comes from upstream', async () => {
    const { digest, size } = big.blobs.find((blob) => blob.size > MiB)!;
    const before = floor.upstreamReads(digest).length;
    let readsAtFirst = -1;
    const answer = await floor.get(`big/blobs/${digest}`, {
      atFirstBytes: async () => {
        readsAtFirst = floor.upstreamReads(digest).length;
        await stack.stack.cache.reader.kill('SIGKILL');
      },
    });
    await stack.stack.cache.reader.restart();
    expect(readsAtFirst).toBe(before);
    expect([answer.status, answer.complete, answer.bytes, answer.digest]).toEqual([200, true, size, digest]);
    // From where it broke off, of upstream or of what a copier still has of its transfer: never the whole again.
    for (const range of floor.upstreamReads(digest).slice(before)) expect(range).toMatch(/^bytes=[1-9]\d+-/);
  });
});

describe('a cache whose disk gives back other bytes', () => {
  it('is found out by the second pull of a node, which passes it over; a person is told what to do, and it is mended then', async () => {
    const [layer] = Object.entries(pushed['worn']!.blobs).sort(([, a], [, b]) => b - a)[0]!;
    const hex = layer.slice('sha256:'.length);
    const stored = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    const file = path.join(stack.stack.cache.folder, stored);
    const right = readFileSync(file);
    writeFileSync(file, Buffer.from(right).fill('?', 0, 8));
    expect((await floor.get('worn/manifests/1')).digest).toBe(pushed['worn']!.digest);
    const pull = () => floor.get(`worn/blobs/${layer}`);
    const [first, second, third] = [await pull(), await pull(), await pull()];
    expect([first, second].map(({ complete, digest }) => [complete, digest === layer])).toEqual([
      [true, false],
      [false, false],
    ]);
    expect(third.digest).toBe(layer);

    const told = async () => {
      const { cache, conditions = [] } = (await floor.image(`${HOST}/worn:1`))?.status ?? {};
      return { cache, cached: conditions.find(({ type }) => type === 'Cached') };
    };
    await floor.until('a person to be told', async () => (await told()).cached?.reason === 'Damaged');
    const { cache, cached } = await told();
    expect(cache?.damaged).toEqual([layer]);
    expect(cached?.message).toMatch(new RegExp(`KUIK-CPY-520 .*${layer}.*docker/registry/v2/blobs`, 's'));
    const events = () => stack.api.list<{ reason: string; message: string }>('/api/v1/namespaces/default/events');
    const event = async () => (await events()).find(({ reason }) => reason === 'CacheDamaged')?.message;
    await floor.until('the event', async () => (await event())?.includes(layer));

    rmSync(file);
    const image = (await floor.image(`${HOST}/worn:1`))!;
    await floor.change(image, { metadata: { annotations: { 'kuik.enix.io/force-update': 'now' } } });
    await floor.until('it to be whole again', async () => (await told()).cached?.reason === 'Copied');
    expect(readFileSync(file).equals(right)).toBe(true);
    expect((await told()).cache?.damaged).toBeUndefined();
  });
});

describe('what people do', () => {
  it('delete the CachedImage of an image in use: bytes stay, the object is made anew, pulls go on', async () => {
    const before = (await floor.image(`${HOST}/kept:1`))!;
    const blobsRead = () => stack.faults.log.total({ host: HOST, kind: 'blob', method: 'GET' }).requests;
    const read = blobsRead();
    await floor.remove(before);
    await floor.until('the object to be made anew and Ready', async () => {
      const pulled = await floor.get('kept/manifests/1');
      expect([pulled.status, pulled.digest]).toEqual([200, pushed['kept']!.digest]);
      expect(await floor.inCache(`${HOST}/kept:1`)).toBe(pushed['kept']!.digest);
      const now = await floor.image(`${HOST}/kept:1`);
      return now?.metadata.uid !== before.metadata.uid && now?.status?.phase === 'Ready';
    });
    expect(blobsRead()).toBe(read);
    const { cache } = (await floor.image(`${HOST}/kept:1`))!.status!;
    expect(cache).toMatchObject({ digest: pushed['kept']!.digest, blobs: Object.keys(pushed['kept']!.blobs).length });
  });

  it('an image that nobody uses expires: tag and object go, another tag on its digest stays', async () => {
    await ready('pair:1.0', 'pair:1.0.0');
    const image = (await floor.image(`${HOST}/pair:1.0`))!;
    stack.faults.host(HOST).deleteTag('pair', '1.0');
    await floor.change(image, { spec: { expiresAt: '2020-01-01T00:00:00Z' } });
    expect(await floor.inCache(`${HOST}/pair:1.0`)).toBe(pushed['pair']!.digest);
    await floor.removePod('pair-1-0');
    await floor.until('the object to be gone', async () => (await floor.image(`${HOST}/pair:1.0`)) === undefined);
    expect(await floor.inCache(`${HOST}/pair:1.0`)).toBeUndefined();
    expect(await floor.inCache(`${HOST}/pair:1.0.0`)).toBe(pushed['pair']!.digest);
    await floor.until('the proxy to know', async () => (await floor.get('pair/manifests/1.0')).status === 404, 2_000);
    const other = await floor.get('pair/manifests/1.0.0');
    expect([other.status, other.digest]).toEqual([200, pushed['pair']!.digest]);
  });

  it('force an update of a tag that moved: the proxy serves the new one within a second', async () => {
    const moved = await floor.push('moves', ['1'], await makeImage({ seed: 'behaviours/moves/2' }));
    expect((await floor.get('moves/manifests/1')).digest).toBe(pushed['moves']!.digest);
    const image = (await floor.image(`${HOST}/moves:1`))!;
    await floor.change(image, { metadata: { annotations: { 'kuik.enix.io/force-update': 'true' } } });
    await floor.until('the copy', async () => (await floor.inCache(`${HOST}/moves:1`)) === moved.digest);
    const told = async () => (await floor.image(`${HOST}/moves:1`))?.status?.cache?.digest === moved.digest;
    await floor.until('the copy to be told', told);
    await floor.until(
      'the proxy to serve it',
      async () => (await floor.get('moves/manifests/1')).digest === moved.digest,
      1_000,
    );
    await floor.until('the annotation to be taken off', async () => {
      const now = await floor.image(`${HOST}/moves:1`);
      return now?.metadata.annotations?.['kuik.enix.io/force-update'] === undefined;
    });
  });

  it('use a private image: copied with the pull secret of its pod, and served through the broker', async () => {
    await supply('team/private', ['1', '2'], await makeIndex({ seed: 'behaviours/private' }));
    const { digest } = pushed['team/private']!;
    await stack.faults.host(HOST).auth({
      scheme: 'bearer',
      users: [{ username: 'robot', password: 'hunter2' }],
      anonymous: ['big', 'fresh', 'frozen', 'kept', 'moves', 'pair', 'late'],
    });
    const auth = Buffer.from('robot:hunter2').toString('base64');
    await stack.api.create('/api/v1/namespaces/default/secrets', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'regcred' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [HOST]: { auth } } }) },
    });
    await floor.pod('private', `${HOST}/team/private:1`, { imagePullSecrets: [{ name: 'regcred' }] });
    await ready('team/private:1');
    expect(await floor.inCache(`${HOST}/team/private:1`)).toBe(digest);
    await floor.until(
      'the other tag of the repository by the broker',
      async () => (await floor.get('team/private/manifests/2')).digest === digest,
    );
    expect((await floor.get('team/other/manifests/1')).status).toBe(403);
    // Its pull secret was used; of that nothing is written anywhere, in no job either.
    const written = floor.keptOnDisk();
    expect(written.filter(({ text }) => text.includes('team/private')).map(({ what }) => what)).toEqual(
      expect.arrayContaining(['image-copier', 'node-proxy', 'pod-watcher', 'redis']),
    );
    for (const { what, text } of written)
      for (const secret of ['hunter2', auth]) expect([what, text.includes(secret)]).toEqual([what, false]);
  });
});

describe('our own parts come and go', () => {
  it('the webhook is killed: pods are admitted unchanged, and their images are cached all the same', async () => {
    expect(unhooked.map(({ spec }) => spec.containers[0]!.image)).toEqual([`${HOST}/pair:1.0`, `${HOST}/pair:1.0.0`]);
    await ready('pair:1.0.0');
  });

  it('everything of ours is restarted: nothing is written to pods, and nothing anew to what is at rest', async () => {
    let last = '';
    let same = 0;
    await floor.until('the system to be at rest', async () => {
      const now = JSON.stringify(await floor.written());
      same = now === last ? same + 1 : 0;
      last = now;
      return same >= 10;
    });
    const before = await floor.written();
    await Promise.all(
      Object.values(stack.services)
        .flat()
        .map((process) => process.restart()),
    );
    // A new image goes all the way: by then every process has seen everything.
    await supply('late', ['1'], await makeImage({ seed: 'behaviours/late' }));
    await use('late:1');
    await ready('late:1');
    const after = await floor.written();
    expect(Object.keys(after)).toHaveLength(Object.keys(before).length + 2);
    expect(after).toMatchObject(before);
    for (const process of Object.values(stack.services).flat()) {
      for (const verb of ['patch', 'apply', 'update', 'create'])
        expect(await stack.metric(process, 'kuik_kube_calls_total', { verb, resource: 'pods' })).toBe(0);
    }
  });
});

describe('a cache that lost everything while its resources say that it is there', () => {
  it('is not noticed by pulls, and is filled again by itself after the next one', async () => {
    const { digest, blobs } = kept;
    const parts = kept.manifests.map((manifest) => `manifests/${manifest.digest}`);
    const pull = () =>
      Promise.all(
        ['manifests/1', ...parts, ...blobs.map((blob) => `blobs/${blob.digest}`)].map((part) =>
          floor.get(`kept/${part}`),
        ),
      );
    const answered = (answers: Answer[]) => answers.map((answer) => [answer.status, answer.complete]);
    const well = answered(await pull());
    const before = (await floor.image(`${HOST}/kept:1`))!.status!.cache!;
    await stack.stack.cache.wipe();
    expect(await floor.inCache(`${HOST}/kept:1`)).toBeUndefined();
    expect((await floor.image(`${HOST}/kept:1`))?.status?.phase).toBe('Ready');

    expect(answered(await pull())).toEqual(well);
    await floor.until('the cache to hold it again', async () => (await floor.inCache(`${HOST}/kept:1`)) === digest);
    await floor.until('word of that', async () => {
      const status = (await floor.image(`${HOST}/kept:1`))?.status;
      return status?.phase === 'Ready' && Date.parse(status.cache!.copiedAt!) > Date.parse(before.copiedAt!);
    });
    await stack.faults.host(HOST).down();
    const withoutUpstream = answered(await pull());
    await stack.faults.host(HOST).up();
    expect(withoutUpstream).toEqual(well);
    expect(well.every(([status, complete]) => status === 200 && complete === true)).toBe(true);
    // What nobody pulled is left to the next pull.
    expect(await floor.inCache(`${HOST}/frozen:1`)).toBeUndefined();
  });
});
