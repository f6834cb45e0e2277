import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { formatReference, parseReference, type Reference } from '@kuik/image';
import { CACHED_IMAGES } from '@kuik/kube';
import { memoryKube, type MemoryKube } from '@kuik/kube/memory';
import { memoryQueue } from '@kuik/queue/memory';
import { createMetrics, silentLogger } from '@kuik/runtime';
import { CheckTimes } from './check-times.ts';
import { imageOf, NOW, type ImageChange } from './fixtures.ts';
import { HostBudgets } from './host-budgets.ts';
import type { CheckResult } from './judge.ts';
import { Monitor } from './monitor-loop.ts';
import { recordUpstream } from './record-upstream.ts';
import type { Ask } from './what-to-ask.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;
const DIGEST = `sha256:${'a'.repeat(64)}`;

/** The world around the monitor: an API server, Redis and registries, all in memory, on one clock. */
class World {
  now = NOW;
  readonly kube: MemoryKube = memoryKube();
  readonly redis = memoryQueue({ now: () => this.now });
  readonly pacer = this.redis.createPacer();
  readonly checked: string[] = [];
  readonly askedBy: Ask['by'][] = [];
  resolveDigest = false;
  readonly budget = { checks: 6, windowMs: HOUR };
  readonly metrics = createMetrics({ service: 'monitor', defaults: false });
  readonly underWay = new Map<string, number>();
  mostAtOnce = 0;
  leader = true;
  /** Whom registries count the checks of an image for, by its path. */
  readonly accounts = new Map<string, string>();
  /** Paths for which it was asked who pays. */
  readonly lookedUp: string[] = [];
  answer: (image: string) => CheckResult | Promise<CheckResult> = () => ({ kind: 'seen', digest: DIGEST });

  add(change: ImageChange): void {
    const { metadata } = this.kube.put<CachedImage>(CACHED_IMAGES, imageOf(change));
    this.bend(metadata.name, {});
  }

  /** Somebody else's write. The server chose the uid: `uid-<name>` stands for it. */
  bend(name: string, { spec, status }: ImageChange): void {
    const before = this.image(name)!;
    const after = { ...before, spec: { ...before.spec, ...spec }, status: { ...before.status, ...status } };
    const text = JSON.stringify(after).replaceAll(`uid-${name}`, before.metadata.uid);
    this.kube.put(CACHED_IMAGES, JSON.parse(text) as CachedImage);
  }

  image(name: string): CachedImage | undefined {
    return this.kube.find<CachedImage>(CACHED_IMAGES, { name });
  }

  state(name: string): string | undefined {
    return this.image(name)?.status?.upstream?.state;
  }

  get writes(): number {
    return this.kube.calls.filter(({ verb }) => verb === 'apply').length;
  }

  /** A fresh process over the same Redis. */
  process(): Monitor {
    const store = this.redis.createTimeStore();
    const policyOf = () => ({
      ...this.budget,
      intervalMs: HOUR,
      timeoutMs: 1_000,
      method: 'HEAD' as const,
      resolveDigest: this.resolveDigest,
    });
    return new Monitor({
      images: {
        values: () => this.kube.objects<CachedImage>(CACHED_IMAGES).values(),
        get: (name) => this.kube.find<CachedImage>(CACHED_IMAGES, name),
        synced: () => true,
      },
      leadership: { isLeader: () => this.leader, assertLeader: () => undefined },
      times: new CheckTimes(store),
      budgets: new HostBudgets(store, policyOf),
      pacer: this.pacer,
      payerOf: async ({ host, path }) => {
        this.lookedUp.push(path);
        return { host, account: this.accounts.get(path) };
      },
      check: (reference, { by }) => {
        this.askedBy.push(by);
        return this.check(reference);
      },
      record: (image, stanza, signal) => recordUpstream(this.kube, image, stanza, signal),
      policyOf,
      floor: 0.2,
      hostsAtOnce: 8,
      idleMs: 5_000,
      clock: { now: () => this.now, monotonic: () => this.now },
      log: silentLogger,
      metrics: this.metrics,
    });
  }

  /** Registries that the metric of checks names. */
  async counted(): Promise<string[]> {
    const lines = (await this.metrics.render()).matchAll(/^kuik_monitor_checks_total\{host="([^"]+)"/gm);
    return [...new Set([...lines].map(([, host]) => host!))].sort();
  }

  async check(reference: Reference): Promise<CheckResult> {
    const { host } = reference;
    const named = ({ spec }: CachedImage) =>
      formatReference(parseReference(spec.sourceImage)) === formatReference(reference);
    this.checked.push([...this.kube.objects<CachedImage>(CACHED_IMAGES).values()].find(named)!.metadata.name);
    this.underWay.set(host, (this.underWay.get(host) ?? 0) + 1);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.underWay.get(host)!);
    try {
      await Promise.resolve();
      return await this.answer(formatReference(reference));
    } finally {
      this.underWay.set(host, this.underWay.get(host)! - 1);
    }
  }
}

let world: World;
let monitor: Monitor;
beforeEach(() => {
  world = new World();
  monitor = world.process();
});
const round = async () => {
  const { afterMs } = await monitor.round(never, never);
  await monitor.settled();
  return afterMs;
};
const failed = (
  code: 'not-found' | 'rate-limited' | 'timeout' | 'unauthorized',
  retryAfterMs?: number,
): CheckResult => ({
  kind: 'failed',
  code,
  message: 'x',
  retryAfterMs,
});

describe('Monitor', () => {
  it('checks what is due once, writes what it saw, and nothing more while nothing changes', async () => {
    world.add({ name: 'a' });
    await round();
    expect(world.state('a')).toBe('Available');
    const writes = world.writes;
    for (let hour = 1; hour <= 23; hour++) {
      world.now += HOUR;
      await round();
    }
    expect(world.checked).toHaveLength(24);
    expect(world.writes).toBe(writes);
    world.now += HOUR;
    await round();
    expect(world.writes).toBe(writes + 1);
  });

  it('records a move, a deletion and the way back', async () => {
    world.add({ name: 'a' });
    const states: unknown[] = [];
    for (const answer of [
      { kind: 'seen', digest: 'sha256:other' },
      failed('not-found'),
      { kind: 'seen', digest: DIGEST },
    ] as const) {
      world.answer = () => answer;
      await round();
      states.push(world.state('a'));
      world.now += HOUR;
    }
    expect(states).toEqual(['Moved', 'Deleted', 'Available']);
  });

  it('asks next for what a tag was seen to name, also when that was asked for a digest that is gone', async () => {
    world.resolveDigest = true;
    world.add({ name: 'a' });
    // The third was asked for by digest, and seen by its tag.
    for (const by of [undefined, 'digest', undefined, undefined, 'digest'] as const) {
      world.answer = () => ({ kind: 'seen', digest: DIGEST, by });
      await round();
      world.now += HOUR;
    }
    expect(world.askedBy).toEqual(['tag', 'digest', 'tag', 'digest', 'digest']);
  });

  it('asks one registry one thing at a time, and never more than its budget in an hour, restarts included', async () => {
    for (let index = 0; index < 40; index++) world.add({ name: `app-${index}` });
    for (let minutes = 0; minutes < 60; minutes += 5) {
      await round();
      monitor = world.process();
      world.now += 5 * 60_000;
    }
    expect(world.checked).toHaveLength(6);
    expect(world.mostAtOnce).toBe(1);
    await round();
    expect(world.checked).toHaveLength(12);
    expect(new Set(world.checked).size).toBe(12);
  });

  it('counts what was asked by a process that died before the answer', async () => {
    for (let index = 0; index < 40; index++) world.add({ name: `app-${index}` });
    world.answer = () => new Promise(() => undefined);
    for (let processes = 0; processes < 10; processes++) {
      await world.process().round(never, never);
      await new Promise(setImmediate);
    }
    expect(world.checked).toHaveLength(6);
  });

  it('is not held up by a registry that never answers', async () => {
    world.add({ name: 'dead', spec: { sourceImage: 'dead.test/a:1' } });
    world.add({ name: 'dead-too', spec: { sourceImage: 'dead.test/b:1' } });
    for (let index = 0; index < 3; index++) world.add({ name: `good-${index}` });
    const { promise, resolve } = Promise.withResolvers<CheckResult>();
    world.answer = (image) => (image.startsWith('dead.test') ? promise : { kind: 'seen', digest: DIGEST });
    await monitor.round(never, never);
    while (world.checked.length < 4) await new Promise(setImmediate);
    world.now += HOUR;
    await monitor.round(never, never);
    while (world.checked.length < 7) await new Promise(setImmediate);
    expect(world.checked.filter((name) => name.startsWith('good'))).toHaveLength(6);
    expect(world.checked.filter((name) => name.startsWith('dead'))).toHaveLength(1);
    resolve(failed('timeout'));
    await monitor.settled();
    expect([world.state('dead'), world.state('dead-too')]).toContain('Unreachable');
  });

  it('does not check again what a check of before told while the round was asking Redis', async () => {
    world.add({ name: 'a' });
    const { promise, resolve } = Promise.withResolvers<CheckResult>();
    world.answer = () => promise;
    await monitor.round(never, never);
    const parkedUntil = world.pacer.parkedUntil.bind(world.pacer);
    world.pacer.parkedUntil = async (...asked) => {
      resolve({ kind: 'seen', digest: DIGEST });
      await monitor.settled();
      return parkedUntil(...asked);
    };
    await round();
    expect(world.checked).toEqual(['a']);
  });

  it('leaves a registry that cannot be reached alone for a while, longer each time', async () => {
    world.add({ name: 'a' });
    world.add({ name: 'b' });
    world.answer = () => failed('timeout');
    await round();
    expect(world.checked).toHaveLength(1);
    world.now += 20_000;
    await round();
    expect(world.checked).toHaveLength(1);
    world.now += 60_000;
    await round();
    expect(world.checked).toHaveLength(2);
    expect(new Set(world.checked).size).toBe(2);
  });

  it('parks a registry that limits us, for everybody, and asks about the same image first afterwards', async () => {
    world.add({ name: 'a' });
    world.add({ name: 'b' });
    world.answer = () => failed('rate-limited', 120_000);
    await round();
    const [first] = world.checked;
    expect(world.state(first!)).toBe('RateLimited');
    expect(await world.pacer.parkedUntil({ host: 'registry.example.test' })).toBe(NOW + 120_000);
    world.now += 119_000;
    expect(await round()).toBe(1_000);
    expect(world.checked).toHaveLength(1);
    world.now += 1_000;
    world.answer = () => ({ kind: 'seen', digest: DIGEST });
    await round();
    expect(world.checked[1]).toBe(first);
    expect([world.state('a'), world.state('b')]).toEqual(['Available', 'Available']);
  });

  it('leaves alone whom a registry limits, and goes on for everybody else', async () => {
    for (const name of ['a', 'b', 'c', 'd']) world.add({ name });
    for (const name of ['b', 'c']) world.accounts.set(name, 'alice');
    world.accounts.set('d', 'bob');
    world.answer = (image) =>
      /\/[bc]:/.test(image) ? failed('rate-limited', 120_000) : { kind: 'seen', digest: DIGEST };
    await round();
    expect(world.checked.filter((name) => ['b', 'c'].includes(name))).toHaveLength(1);
    expect([world.state('a'), world.state('d')]).toEqual(['Available', 'Available']);
    expect(await world.pacer.parkedUntil({ host: 'registry.example.test' })).toBeUndefined();
    await round();
    expect(world.checked).toHaveLength(3);
    world.now += 120_000;
    world.answer = () => ({ kind: 'seen', digest: DIGEST });
    await round();
    expect([world.state('b'), world.state('c')]).toEqual(['Available', 'Available']);
  });

  it('goes on for everybody else while a login waits for its pace, and comes back for it in its time', async () => {
    world.budget.checks = 2;
    for (const name of ['a', 'b', 'c']) {
      const [account, count] = name === 'c' ? ['bob', 0] : ['alice', 1];
      world.add({ name, status: { usedBy: { forUid: `uid-${name}`, count } } });
      world.accounts.set(name, account);
    }
    await world.pacer.spent({ host: 'registry.example.test', account: 'alice' }, 1_000);
    await round();
    expect(world.checked).toEqual([]);
    await round();
    expect(world.checked).toEqual(['c']);
    world.now += 30_000;
    await round();
    expect(world.checked).toHaveLength(2);
  });

  it('checks no more with a login that a registry refuses, while it limits the strangers that its checks are then asked as', async () => {
    for (const name of ['a', 'b']) {
      world.add({ name });
      world.accounts.set(name, 'alice');
    }
    world.answer = () => ({ ...failed('rate-limited', 120_000), askedAs: {} });
    await round();
    await round();
    expect(world.checked).toHaveLength(1);
    const host = 'registry.example.test';
    expect(await world.pacer.parkedUntil({ host })).toBe(world.now + 120_000);
    expect(await world.pacer.parkedUntil({ host, account: 'alice' })).toBeUndefined();
    world.now += 120_000;
    world.answer = () => ({ kind: 'seen', digest: DIGEST });
    await round();
    expect([world.state('a'), world.state('b')]).toEqual(['Available', 'Available']);
  });

  it('asks the broker no more for images of a payer whom a registry has just limited', async () => {
    for (const name of ['a', 'b', 'c']) {
      world.add({ name });
      world.accounts.set(name, 'alice');
    }
    const monitor = world.process();
    await monitor.round(never, never);
    await monitor.settled();
    world.now += HOUR;
    world.answer = () => failed('rate-limited', 120_000);
    world.lookedUp.length = 0;
    await monitor.round(never, never);
    await monitor.settled();
    expect(world.lookedUp).toHaveLength(1);
  });

  it('asks about the parks of all who pay at once', async () => {
    for (const name of ['a', 'b', 'c']) {
      world.add({ name });
      world.accounts.set(name, name);
    }
    await round();
    let [asking, most] = [0, 0];
    world.pacer.parkedUntil = async () => {
      most = Math.max(most, (asking += 1));
      await new Promise(setImmediate);
      asking -= 1;
      return undefined;
    };
    await round();
    expect(most).toBe(4);
  });

  it('finds out in the end who pays for each image, although strangers are limited and whatever was held before', async () => {
    for (let image = 0; image < 12; image += 1) world.add({ name: `s${image}` });
    world.add({ name: 'z' });
    await world.pacer.park({ host: 'registry.example.test' }, NOW + 10 * HOUR, 'KUIK-REG-429');
    for (let rounds = 0; rounds < 3; rounds += 1) {
      await round();
      world.now += 5_000;
    }
    expect(world.checked).toEqual([]);
    // It has a login only now.
    world.accounts.set('z', 'alice');
    for (let rounds = 0; rounds < 3; rounds += 1) {
      await round();
      world.now += 5_000;
    }
    expect(world.checked).toEqual(['z']);
  });

  it('finds out who pays for an image with pull secrets although strangers are limited', async () => {
    world.add({ name: 'a' });
    world.add({ name: 'b', status: { pullSecrets: [{ namespace: 'team', name: 'regcred' }] } });
    world.accounts.set('b', 'alice');
    await world.pacer.park({ host: 'registry.example.test' }, NOW + 3_600_000, 'KUIK-REG-429');
    await round();
    expect(world.checked).toEqual(['b']);
  });

  it('leaves what little is left of a quota to others, looks again after five minutes, and goes on when it is refilled', async () => {
    world.add({ name: 'a' });
    world.add({ name: 'b' });
    const told = (remaining: number) =>
      world.pacer.told(
        { host: 'registry.example.test' },
        { identity: 'i', limit: 100, remaining, windowSeconds: 21_600 },
        { background: true },
      );
    await told(19);
    await round();
    expect(world.checked).toEqual([]);
    world.now += 5 * 60_000;
    world.answer = () => told(18).then(() => ({ kind: 'seen', digest: DIGEST }));
    await round();
    expect(world.checked).toHaveLength(1);
    await told(100);
    await round();
    expect(world.checked).toHaveLength(2);
  });

  it('says nothing about an image for which no credential could be had, and tries again in ten minutes', async () => {
    world.add({ name: 'a' });
    world.answer = () => ({ kind: 'undecided', message: 'the broker is away' });
    await round();
    expect(world.state('a')).toBeUndefined();
    world.now += 9 * 60_000;
    await round();
    expect(world.checked).toHaveLength(1);
    world.now += 60_000;
    await round();
    expect(world.checked).toHaveLength(2);
  });

  it('checks nothing while Redis is away, nor when it does not lead', async () => {
    world.add({ name: 'a' });
    world.redis.setAway(true);
    await expect(round()).rejects.toMatchObject({ code: 'unavailable' });
    world.redis.setAway(false);
    world.leader = false;
    await round();
    expect(world.checked).toEqual([]);
  });

  it('names registries in its metrics as long as an image names them, whichever replica leads', async () => {
    world.add({ name: 'a', spec: { sourceImage: 'one.test/a:1' } });
    world.add({ name: 'b', spec: { sourceImage: 'two.test/b:1' } });
    world.add({ name: 'c', spec: { sourceImage: 'dead.test/c:1' } });
    world.answer = (image) =>
      image.startsWith('dead')
        ? failed('timeout')
        : image.startsWith('one')
          ? { kind: 'undecided', message: 'x' }
          : failed('not-found');
    await round();
    expect(await world.counted()).toEqual(['dead.test', 'one.test', 'two.test']);
    for (const name of ['b', 'c']) world.kube.drop(CACHED_IMAGES, { name });
    await round();
    expect(await world.counted()).toEqual(['one.test']);
    world.leader = false;
    world.kube.drop(CACHED_IMAGES, { name: 'a' });
    await round();
    expect(await world.counted()).toEqual([]);
  });

  it('keeps what is spent of a budget while it counts, although the image went and came again', async () => {
    const slots = (host: string) =>
      world.redis
        .createTimeStore()
        .get('check-slots', [`${host} 0`])
        .then(([time]) => time);
    world.add({ name: 'a' });
    await round();
    world.kube.drop(CACHED_IMAGES, { name: 'a' });
    world.now += HOUR / 2;
    await round();
    expect(await slots('registry.example.test')).toBe(NOW);
    world.now += HOUR / 2;
    await round();
    expect(await slots('registry.example.test')).toBeUndefined();
  });

  it('withdraws what it wrote about an object that was made anew', async () => {
    world.add({ name: 'a' });
    world.answer = () => {
      world.kube.drop(CACHED_IMAGES, { name: 'a' });
      world.add({ name: 'a' });
      return { kind: 'seen', digest: DIGEST };
    };
    await round();
    expect(world.image('a')?.status?.upstream).toBeUndefined();
  });

  it('is not disturbed by an object that goes while it is checked', async () => {
    world.add({ name: 'a' });
    world.answer = () => {
      world.kube.drop(CACHED_IMAGES, { name: 'a' });
      return failed('not-found');
    };
    await round();
    expect(world.checked).toEqual(['a']);
  });

  it('checks an image again when its result could not be written', async () => {
    world.add({ name: 'a' });
    world.kube.failNext('unavailable', { verb: 'apply' });
    await round();
    expect(world.state('a')).toBeUndefined();
    await round();
    expect(world.state('a')).toBe('Available');
  });
});
