import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { HUB, OTHERS, QuotaWorld } from './quota/quota-world.ts';
import { HOST } from './story/world.ts';

const NODES = sized({ usual: 3, full: 36 });
const REPEATS = 255;
/** Images of the Hub that are monitored: those that are pulled, and others that were copied before the story begins. */
const MONITORED = sized({ usual: 6, full: 500 });
/** Each is looked at several times. */
const CHECKS = sized({ usual: 4, full: 2 }) * MONITORED;
/** What each costs: its index, the manifest of the nodes' platform, and what attests that if anything does; the other platform has as many more. */
const COSTS: Readonly<Record<string, number>> = { web: 3, worker: 3, cron: 2 };
const IMAGES = Object.keys(COSTS);
/** A busy machine takes its time. */
const CHECKS_MS = 30_000 + 100 * CHECKS;
const LIMIT = 100;
const STRANGERS_MS = 900_000;
const LOGINS_MS = 120_000;
/** For how long whoever has used up a quota rests, seconds: longer than both stories. Unless it is told, it is for a time at random. */
const REST_S = (STRANGERS_MS + LOGINS_MS) / 1000;

let world: QuotaWorld;
beforeAll(async () => {
  world = await QuotaWorld.start(NODES);
}, 90_000);
afterAll(() => world?.stop());

it(
  'thirty-six workers, three images: each manifest that they need is counted once, repeats and monitoring cost nothing, an empty bucket stops nobody who has what it needs',
  async () => {
    await world.keepOthers(MONITORED - IMAGES.length);
    const quota = world.hub.on().quota(LIMIT);
    const digests = new Map<string, { index: string; child: string }>();
    for (const name of IMAGES) digests.set(name, await world.push(name, { attestation: COSTS[name] === 3 }));
    await world.push('liar', { host: HOST });

    // All nodes at once, while the copies begin.
    const pull = async (node: (typeof world.nodes)[number], name: string): Promise<void> => {
      const { index, child } = digests.get(name)!;
      const [tag, byDigest] = [await world.get(node, name, '1'), await world.get(node, name, child)];
      expect([tag.status, tag.digest, byDigest.status, byDigest.digest]).toEqual([200, index, 200, child]);
    };
    await Promise.all([
      ...IMAGES.map((name) => world.use(name)),
      world.use('liar', HOST),
      ...world.nodes.flatMap((node) => IMAGES.map((name) => pull(node, name))),
    ]);
    await world.ready(...IMAGES);
    for (const [name, cost] of Object.entries(COSTS)) expect([name, world.counted(name)]).toEqual([name, cost]);

    // What the Hub says is left is what is left.
    const spent = Object.values(COSTS).reduce((sum, cost) => sum + cost, 0);
    await world.until(
      'the gauge to say so',
      async () => (await world.gauge('kuik_upstream_quota_remaining')) === LIMIT - spent,
    );
    expect(await world.gauge('kuik_upstream_quota_limit')).toBe(LIMIT);
    expect(await world.gauge('kuik_upstream_quota_refill_seconds')).toBeGreaterThan(21_000);

    for (let repeat = 0; repeat < REPEATS; repeat += 1)
      await pull(world.nodes[repeat % NODES]!, IMAGES[repeat % IMAGES.length]!);
    const checks = () => world.gauge('kuik_monitor_checks_total');
    const since = await checks();
    await world.until('the monitor to have looked', async () => (await checks()) >= since + CHECKS, CHECKS_MS);
    expect(world.counted()).toBe(spent);

    // The tag that lies: its manifest is there by tag, and not by digest.
    world.parts.faults.host(HOST).on({ kind: 'manifest-digest', repository: 'library/liar' }).gone();
    await world.until('the lie to be found out', async () => {
      const upstream = (await world.image('liar', HOST))?.status?.upstream;
      return upstream?.state === 'Deleted' && upstream.error?.code === 'KUIK-REG-406';
    });
    const asked = () => world.looks('liar', HOST);
    const before = { asked: asked(), checks: await world.gauge('kuik_monitor_checks_total', HOST) };
    await world.until(
      'more checks',
      async () => (await world.gauge('kuik_monitor_checks_total', HOST)) >= before.checks + 4,
    );
    const [nowAsked, nowChecks] = [asked(), await world.gauge('kuik_monitor_checks_total', HOST)];
    expect((await world.image('liar', HOST))?.status?.upstream?.state).toBe('Deleted');
    // One request per check; one of each may be under way.
    expect(Math.abs(nowAsked - before.asked - (nowChecks - before.checks))).toBeLessThanOrEqual(1);

    // The bucket is empty.
    quota.clear();
    const empty = world.hub.on().quota(0, { retryAfter: REST_S });
    const fresh = await world.push('fresh');
    await world.use('fresh');
    await world.until('the Hub to be parked', async () => (await world.gauge('kuik_upstream_parked_seconds')) > 0);
    expect(await world.gauge('kuik_upstream_quota_remaining')).toBe(0);
    expect(await world.gauge('kuik_upstream_quota_refill_seconds')).toBeGreaterThan(0);
    for (const node of world.nodes) for (const name of IMAGES) await pull(node, name);
    const first = await world.get(world.nodes[0]!, 'fresh', '1');
    expect([first.status, first.text]).toEqual([429, expect.stringContaining('KUIK-REG-429')]);
    expect(Number(first.headers['retry-after'])).toBeGreaterThan(0);
    const counted = world.counted();
    // All at once: the park is as long as chance has it.
    const refused = await Promise.all(world.nodes.map((node) => world.get(node, 'fresh', fresh.index)));
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]));
    expect(world.counted()).toBe(counted);
    expect((await world.image('fresh'))?.status?.cache?.error?.code).toBe('KUIK-REG-429');
    expect(counted).toBeLessThanOrEqual(spent + 2);
    empty.clear();
  },
  STRANGERS_MS,
);

it(
  'whoever has a login has a quota of its own: what strangers or another login used up holds nobody else up',
  async () => {
    const users = ['alice', 'bob'].map((username) => ({
      username,
      password: 'pw',
      repositories: [`library/${username}-*`],
    }));
    await world.hub.auth({
      scheme: 'bearer',
      users,
      anonymous: ['fresh', OTHERS, ...IMAGES].map((name) => `library/${name}`),
    });
    for (const { username } of users) await world.tenant(username);
    for (const name of ['alice-1', 'alice-2', 'alice-3', 'bob-1']) await world.push(name);
    const parked = (identity: string) => world.gauge('kuik_upstream_parked_seconds', HUB, { identity });
    const errorOf = async (name: string) => (await world.image(name))?.status?.cache?.error?.code;

    // Strangers rest, and go on resting.
    expect(await parked('anonymous')).toBeGreaterThan(0);
    const counted = world.counted('fresh');
    await world.use('alice-1', HUB, 'alice');
    await world.ready('alice-1');

    // Now alice has used up hers.
    world.hub.on({ kind: 'manifest', repository: 'library/alice-2' }).quota(0, { retryAfter: REST_S });
    await world.use('alice-2', HUB, 'alice');
    await world.until('alice to rest', async () => (await parked('credential')) > 0);
    await world.until('the resource to say so', async () => (await errorOf('alice-2')) === 'KUIK-REG-429');
    await world.use('alice-3', HUB, 'alice');
    await world.use('bob-1', HUB, 'bob');
    await world.ready('bob-1');
    expect([world.counted('alice-3'), world.counted('fresh')]).toEqual([0, counted]);
    expect((await world.image('alice-3'))?.status?.cache?.digest).toBeUndefined();
  },
  LOGINS_MS,
);
