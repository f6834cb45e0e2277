import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import { IMAGE_SERVED, IMAGE_STATE, type ImageServed, type ImageState } from '@kuik/contracts';
import { digestOf, parseReference, stateKey, toCacheRepository } from '@kuik/image';
import { makeImage, startNats, until, type MadeImage, type NatsServer } from '@kuik/testbed';
import { ask, HOST, startProxyWorld, type Answer, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

describe('tags and what is known of them', () => {
  let world: ProxyWorld;
  let nats: NatsServer;
  let folder: string;
  let watcher: Bus;
  let proxy: RunningProxy;
  let one: MadeImage;
  let two: MadeImage;
  let version = 0;
  const repository = 'state';
  const settings = (): object => ({ nats: { url: nats.url, nkeyFile: path.join(folder, 'node-proxy') } });

  beforeAll(async () => {
    [world, nats] = await Promise.all([startProxyWorld(), startNats()]);
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-seeds-'));
    for (const service of ['pod-watcher', 'node-proxy'] as const) {
      writeFileSync(path.join(folder, service), nats.seeds[service], { mode: 0o600 });
    }
    watcher = connectBus({ url: nats.url, service: 'pod-watcher', seedFile: path.join(folder, 'pod-watcher') });
    one = await makeImage({ seed: 'one' });
    two = await makeImage({ seed: 'two' });
    await world.keep(repository, [], one);
    await world.keep(repository, [], two);
    await world.faults.push(HOST, repository, [], one);
    await until(() => watcher.status() === 'connected', { what: 'the watcher to connect' });
    watcher.bucket(IMAGE_STATE, { create: true });
    await until(async () => (await put('warm', { digest: one.digest }), true), { what: 'the bucket' });
    proxy = await world.start({ settings: settings() });
  }, 60_000);
  beforeEach(() => world.faults.reset());
  afterEach(() => world.faults.reset());
  afterAll(async () => {
    await watcher.close();
    await world.stop();
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function put(tag: string, state: Partial<ImageState>): Promise<void> {
    const reference = `${HOST}/${repository}:${tag}`;
    version += 1;
    await watcher.bucket(IMAGE_STATE).put(stateKey(parseReference(reference)), {
      reference,
      uid: 'uid',
      resourceVersion: String(version),
      ...state,
    });
  }

  const pull = (tag: string, at = proxy): Promise<Answer> => ask(`${at.url}/v2/${HOST}/${repository}/manifests/${tag}`);
  const asked = (): number => world.faults.log.total({}).requests;

  async function tagInCache(tag: string, image: MadeImage): Promise<void> {
    await world.keep(repository, [tag], image);
  }

  async function untagInCache(tag: string): Promise<void> {
    const name = toCacheRepository({ host: HOST, path: repository })!;
    const authorization = world.cache.authorization('writer', [{ repository: name, actions: ['delete', 'pull'] }]);
    const answer = await fetch(`${world.cache.writerUrl}/v2/${name}/manifests/${tag}`, {
      method: 'DELETE',
      headers: { authorization },
    });
    expect(answer.status).toBe(202);
  }

  it('serves a kept tag as its cached digest, without asking upstream, and by HEAD as well', async () => {
    await put('kept', { digest: one.digest });
    const answer = await pull('kept');
    expect([answer.status, digestOf(answer.body)]).toEqual([200, one.digest]);
    expect(answer.headers['warning']).toBeUndefined();
    expect(proxy.lineOf(answer)).toMatchObject({ reason: 'CachedTag' });
    const head = await ask(`${proxy.url}/v2/${HOST}/${repository}/manifests/kept`, { method: 'HEAD' });
    expect([head.status, head.headers['docker-content-digest'], head.body.length]).toEqual([200, one.digest, 0]);
    expect(Number(head.headers['content-length'])).toBe(one.root.size);
    expect(asked()).toBe(0);
  });

  it('tells in its log which image was meant, and which admission brought it', async () => {
    await put('followed', { digest: one.digest, requestId: 'r-1' });
    const answer = await pull('followed');
    expect(proxy.lineOf(answer)).toMatchObject({ image: `${HOST}/${repository}:followed`, admission: 'r-1' });
  });

  it('sees within a second that a kept tag changed or went', async () => {
    await put('moves', { digest: one.digest });
    expect(digestOf((await pull('moves')).body)).toBe(one.digest);
    await put('moves', { digest: two.digest });
    await until(async () => digestOf((await pull('moves')).body) === two.digest, { what: 'the move', timeoutMs: 1000 });
    await watcher.bucket(IMAGE_STATE).delete(stateKey(parseReference(`${HOST}/${repository}:moves`)));
    await until(async () => (await pull('moves')).status >= 400, { what: 'the removal', timeoutMs: 1000 });
  });

  it('asks upstream first for a condemned tag, and serves the cache when upstream is silent', async () => {
    await world.faults.push(HOST, repository, ['condemned'], one);
    await tagInCache('condemned', two);
    await put('condemned', { digest: two.digest, condemned: true });
    const alive = await pull('condemned');
    expect(digestOf(alive.body)).toBe(one.digest);
    expect(proxy.lineOf(alive)).toMatchObject({ reason: 'Condemned' });
    expect(alive.headers['warning']).toBeUndefined();
    const other = await world.start({ settings: settings() });
    await world.faults.host(HOST).down();
    const silent = await pull('condemned', other);
    expect(digestOf(silent.body)).toBe(two.digest);
    expect(other.lineOf(silent)).toMatchObject({ reason: 'UpstreamSilent', stale: true });
    await other.close();
  });

  it('serves a pin whatever the tag says', async () => {
    await put('pinned', { digest: one.digest, pin: two.digest });
    const answer = await pull('pinned');
    expect([digestOf(answer.body), proxy.lineOf(answer)?.reason]).toEqual([two.digest, 'Pinned']);
  });

  it.each([
    ['is rate-limited', (w: ProxyWorld) => w.faults.host(HOST).on().answer(429, { retryAfter: 30 })],
    ['fails', (w: ProxyWorld) => w.faults.host(HOST).on().answer(503)],
    ['refuses without a credential', (w: ProxyWorld) => w.faults.host(HOST).on().answer(401)],
    ['says it is gone, to a request without a credential', (w: ProxyWorld) => w.faults.host(HOST).on().answer(404)],
    ['breaks connections', (w: ProxyWorld) => w.faults.host(HOST).on().fault({ do: 'reset' })],
    ['never answers', (w: ProxyWorld) => w.faults.host(HOST).on().fault({ do: 'hang' })],
  ])("serves the cache's own tag, marked stale, when upstream %s", async (what, fault) => {
    const tag = what.replaceAll(/[^a-z]+/g, '-');
    await tagInCache(tag, two);
    fault(world);
    const unaware = await world.start({ settings: settings() });
    const answer = await pull(tag, unaware);
    expect([answer.status, digestOf(answer.body)]).toEqual([200, two.digest]);
    expect(answer.headers['warning']).toBe('110 - "Response is Stale"');
    expect(answer.ms).toBeLessThan(5000);
    await unaware.close();
  });

  it('reports what was served, once, to the durable stream', async () => {
    const reports: ImageServed[] = [];
    const consumer = watcher.consume(IMAGE_SERVED, 'test', (delivery) => {
      reports.push(delivery.payload);
      return Promise.resolve({ do: 'ack' });
    });
    const reporting = await world.start({ settings: { ...settings(), proxy: { servedInterval: '200ms' } } });
    await put('served', { digest: one.digest });
    for (let time = 0; time < 3; time += 1) await pull('served', reporting);
    await pull(one.digest, reporting);
    const pulls = (reference: string): number =>
      reports
        .flatMap(({ images }) => images)
        .reduce((sum, one) => sum + (one.reference === reference ? one.pulls : 0), 0);
    await until(() => pulls(`${HOST}/${repository}:served`) >= 3, { what: 'three pulls to be told of' });
    await until(() => pulls(`${HOST}/${repository}@${one.digest}`) >= 1, { what: 'the pull by digest' });
    await reporting.close();
    expect([pulls(`${HOST}/${repository}:served`), pulls(`${HOST}/${repository}@${one.digest}`)]).toEqual([3, 1]);
    expect(new Set(reports.map(({ node }) => node))).toEqual(new Set(['node-1']));
    await consumer.stop();
  });

  it('sees without NATS, within 30 s, that a tag was rewritten or deleted in the cache', async () => {
    await tagInCache('offline', one);
    await put('offline', { digest: one.digest });
    expect(digestOf((await pull('offline')).body)).toBe(one.digest);
    await nats.kill();
    await tagInCache('offline', two);
    const rewritten = await until(
      async () => {
        const answer = await pull('offline');
        return digestOf(answer.body) === two.digest && answer;
      },
      { what: 'the rewritten tag', timeoutMs: 30_000, everyMs: 200 },
    );
    expect(proxy.lineOf(rewritten)).toMatchObject({ reason: 'StateUnconfirmed' });
    await untagInCache('offline');
    await until(async () => (await pull('offline')).status >= 400, {
      what: 'the deleted tag',
      timeoutMs: 30_000,
      everyMs: 200,
    });
    await nats.restart();
  }, 80_000);

  it('serves by tag and by digest after a restart with NATS and upstream down', async () => {
    await tagInCache('restart', two);
    await nats.kill();
    await world.faults.host(HOST).down();
    const began = performance.now();
    const fresh = await world.start({ settings: settings() });
    const byTag = await pull('restart', fresh);
    expect(performance.now() - began).toBeLessThan(2000);
    expect([byTag.status, digestOf(byTag.body), byTag.headers['warning']]).toEqual([
      200,
      two.digest,
      '110 - "Response is Stale"',
    ]);
    const byDigest = await pull(two.digest, fresh);
    expect([byDigest.status, digestOf(byDigest.body), byDigest.headers['warning']]).toEqual([
      200,
      two.digest,
      undefined,
    ]);
    for (const blob of two.blobs) {
      const answer = await ask(`${fresh.url}/v2/${HOST}/${repository}/blobs/${blob.digest}`);
      expect([answer.status, digestOf(answer.body)]).toEqual([200, blob.digest]);
    }
    await fresh.close();
    await nats.restart();
  });
});
