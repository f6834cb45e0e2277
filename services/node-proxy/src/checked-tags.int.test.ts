import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import { IMAGE_STATE, TAG_MOVED, type TagMoved } from '@kuik/contracts';
import { digestOf, parseReference, stateKey } from '@kuik/image';
import { makeImage, startNats, until, type Fault, type MadeImage, type NatsServer } from '@kuik/testbed';
import { ask, HOST, startProxyWorld, type Answer, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

/** Upstream is waited for this long, and asked this often. */
const PATIENCE_MS = 300;
const EVERY_MS = 100;

describe('tags that are checked when they are pulled', () => {
  let world: ProxyWorld;
  let nats: NatsServer;
  let folder: string;
  let watcher: Bus;
  let proxy: RunningProxy;
  let one: MadeImage;
  let two: MadeImage;
  let tags = 0;
  const moved: TagMoved[] = [];
  const repository = 'checked';
  const settings = (tagSettings: object = {}): object => ({
    nats: { url: nats.url, nkeyFile: path.join(folder, 'node-proxy') },
    // What pod-watcher told of a tag is waited for, however slow the machine: for how long it is has its own test, of `TagKnowledge`.
    proxy: { tagMemory: '60s', stateTimeout: '10s' },
    tags: { atMostEvery: `${EVERY_MS}ms`, patience: `${PATIENCE_MS}ms`, ...tagSettings },
  });

  beforeAll(async () => {
    [world, nats] = await Promise.all([startProxyWorld(), startNats()]);
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-seeds-'));
    for (const service of ['pod-watcher', 'node-proxy'] as const) {
      writeFileSync(path.join(folder, service), nats.seeds[service], { mode: 0o600 });
    }
    watcher = connectBus({ url: nats.url, service: 'pod-watcher', seedFile: path.join(folder, 'pod-watcher') });
    watcher.subscribe(TAG_MOVED, (hint) => void moved.push(hint));
    one = await makeImage({ seed: 'one' });
    two = await makeImage({ seed: 'two' });
    await world.keep(repository, [], one);
    await until(() => watcher.status() === 'connected', { what: 'the watcher to connect' });
    const bucket = watcher.bucket(IMAGE_STATE, { create: true });
    await until(async () => (await bucket.keys(), true), { what: 'the bucket' });
    proxy = await world.start({ settings: settings() });
  }, 60_000);
  beforeEach(() => world.faults.reset());
  afterAll(async () => {
    await watcher.close();
    await world.stop();
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A tag of its own that the cache has on the first image, that upstream has on `there`, and that is to be checked. */
  async function tagOn(there: MadeImage | undefined, everyMs = 0): Promise<string> {
    const tag = `t${(tags += 1)}`;
    if (there !== undefined) await world.faults.push(HOST, repository, [tag], there);
    const reference = `${HOST}/${repository}:${tag}`;
    await watcher.bucket(IMAGE_STATE).put(stateKey(parseReference(reference)), {
      reference,
      uid: 'uid',
      resourceVersion: '1',
      digest: one.digest,
      check: { everyMs },
    });
    return tag;
  }
  const pull = (tag: string, at = proxy): Promise<Answer> => ask(`${at.url}/v2/${HOST}/${repository}/manifests/${tag}`);
  const heads = (): number => world.faults.log.total({ method: 'HEAD', kind: 'manifest' }).requests;
  const shown = (answer: Answer, at = proxy) => ({
    status: answer.status,
    digest: answer.status === 200 ? digestOf(answer.body) : undefined,
    warning: answer.headers['warning'],
    reason: at.lineOf(answer)?.reason,
  });

  it('costs one HEAD while nothing moved, and comes from the cache', async () => {
    const tag = await tagOn(one, 60_000);
    for (let pulls = 0; pulls < 3; pulls += 1) {
      expect(shown(await pull(tag))).toEqual({
        status: 200,
        digest: one.digest,
        warning: undefined,
        reason: 'TagChecked',
      });
    }
    expect([heads(), world.faults.log.total({ method: 'GET' }).requests]).toEqual([1, 0]);
  });

  it('is what upstream names once it has moved, and tells of the move', async () => {
    const tag = await tagOn(one);
    await pull(tag);
    await world.faults.push(HOST, repository, [tag], two);
    await until(async () => shown(await pull(tag)).digest === two.digest, { what: 'the new digest' });
    await until(() => moved.some(({ digest }) => digest === two.digest), { what: 'the hint' });
    expect(moved.at(-1)).toEqual({ node: 'node-1', reference: `${HOST}/${repository}:${tag}`, digest: two.digest });
  });

  const unreachable: Fault = { do: 'reset' };
  it.each<[string, Fault | undefined]>([
    ['unreachable', unreachable],
    ['timeout', { do: 'hang' }],
    ['rate-limited', { do: 'answer', status: 429 }],
    ['server-error', { do: 'answer', status: 502 }],
    ['refused', { do: 'answer', status: 403 }],
    ['not-found', undefined],
  ])('is what is kept, marked stale, when upstream does not say: %s', async (name, fault) => {
    const tag = await tagOn(fault === undefined ? undefined : two);
    if (fault !== undefined) world.faults.host(HOST).on({ kind: 'manifest' }).fault(fault);
    const answer = await pull(tag);
    expect(shown(answer)).toEqual({
      status: 200,
      digest: one.digest,
      warning: '110 - "Response is Stale"',
      reason: 'CheckFailed',
    });
    expect(answer.ms).toBeLessThan(PATIENCE_MS + 2_000);

    const upstreamTimeouts = { headers: '500ms' };
    const strict = await world.start({ settings: { ...settings({ strict: [name] }), upstreamTimeouts } });
    const refused = await pull(tag, strict);
    expect(refused.status).toBeGreaterThanOrEqual(400);
    await strict.close();
  });

  const moveTo = async (seed: string): Promise<{ tag: string; next: MadeImage }> => {
    const next = await makeImage({ seed });
    return { tag: await tagOn(next), next };
  };
  const head = async (tag: string) => {
    const { headers } = await ask(`${proxy.url}/v2/${HOST}/${repository}/manifests/${tag}`, { method: 'HEAD' });
    return [headers['docker-content-digest'], headers['warning']];
  };

  it.each<[string, Fault]>([
    ['dies', unreachable],
    ['falls silent', { do: 'hang' }],
  ])(
    'is what is kept, marked stale, to a HEAD too, when upstream names another digest and %s before it gives it',
    async (seed, fault) => {
      const { tag } = await moveTo(seed);
      world.faults.host(HOST).on({ kind: 'manifest', method: 'GET' }).fault(fault);
      expect(await head(tag)).toEqual([one.digest, '110 - "Response is Stale"']);
    },
  );

  it('is told of a move when what it moved to is in hand, whatever becomes of upstream then', async () => {
    const { tag, next } = await moveTo('in hand');
    // A registry that was silent a moment ago is not waited for, nor is one for longer than the patience, on a machine however slow: what tells of the move counts.
    const told = async () => {
      const answer = await head(tag);
      return answer[0] === next.digest && answer;
    };
    expect(await until(told, { what: 'the move' })).toEqual([next.digest, undefined]);
    await world.faults.host(HOST).down();
    expect(digestOf((await pull(next.digest)).body)).toBe(next.digest);
  });

  describe('and upstream takes its time', () => {
    /** Long enough that no pause of a busy machine makes up for it. */
    const LONG_MS = 2_000;
    const patient = (tagSettings: object = {}) =>
      world.start({ settings: settings({ patience: `${LONG_MS}ms`, ...tagSettings }) });
    const silentManifests = () => world.faults.host(HOST).on({ kind: 'manifest', method: 'GET' }).fault({ do: 'hang' });

    it('waits no longer than the patience for the question and what it moved to together', async () => {
      const { tag } = await moveTo('slowly named');
      world.faults
        .host(HOST)
        .on({ kind: 'manifest', method: 'HEAD' })
        .latency(0.75 * LONG_MS);
      silentManifests();
      const other = await patient();
      const answer = await pull(tag, other);
      expect(shown(answer, other)).toMatchObject({ digest: one.digest, reason: 'CheckFailed' });
      expect(answer.ms).toBeLessThan(1.5 * LONG_MS);
      await other.close();
    });

    it('waits once for what it moved to, while the answer that named it counts', async () => {
      const { tag } = await moveTo('never given');
      silentManifests();
      const other = await patient({ atMostEvery: '60s' });
      await pull(tag, other);
      const began = performance.now();
      for (let pulls = 0; pulls < 4; pulls += 1)
        expect(shown(await pull(tag, other), other)).toMatchObject({ digest: one.digest, reason: 'CheckFailed' });
      expect(performance.now() - began).toBeLessThan(2 * LONG_MS);
      await other.close();
    });
  });

  it.each<[string, Fault | undefined]>([
    ['that broke connections', unreachable],
    ['that nobody listens for', undefined],
  ])('fails while that is asked for, however often, of a registry %s', async (_name, fault) => {
    const strict = await world.start({ settings: settings({ strict: ['unreachable'] }) });
    const pulled = await Promise.all(Array.from({ length: 8 }, () => tagOn(one)));
    if (fault === undefined) await world.faults.host(HOST).down();
    else world.faults.host(HOST).on({ kind: 'manifest' }).fault(fault);
    for (const tag of pulled) expect((await pull(tag, strict)).status).toBeGreaterThanOrEqual(400);
    await strict.close();
  });

  it('is fresh again soon after upstream is back', async () => {
    const tag = await tagOn(two);
    world.faults.host(HOST).on({ kind: 'manifest' }).fault({ do: 'answer', status: 500 });
    expect(shown(await pull(tag)).reason).toBe('CheckFailed');
    await world.faults.reset();
    await until(async () => shown(await pull(tag)).digest === two.digest, { what: 'the new digest' });
  });
});
