import { expect, it } from '@jest/globals';
import { HOST_STATE, hostStateKey } from '@kuik/contracts';
import { memoryBus } from '@kuik/bus/memory';
import { memoryQueue } from '@kuik/queue/memory';
import { createMetrics } from '@kuik/runtime';
import { TellHosts } from './tell-hosts.ts';

const HUB = 'docker.io';
const ALICE = 'a'.repeat(32);
const word = (remaining: number) => ({ identity: 'i', limit: 100, remaining, windowSeconds: 21_600 });

it('nodes and metrics are told what nodes and copies met, and when it is over; only by the leader', async () => {
  let now = 1_700_000_000_000;
  let leader = true;
  const clock = { now: () => now, monotonic: () => now };
  const pacer = memoryQueue({ now: () => now }).createPacer();
  const metrics = createMetrics({ service: 'monitor', defaults: false });
  const bus = memoryBus();
  const bucket = bus.bucket(HOST_STATE, { create: true });
  await bucket.put(hostStateKey('gone.example'), { host: 'gone.example' });
  const hosts = new TellHosts({ pacer, bucket, leadership: { isLeader: () => leader }, clock, metrics });
  const told = async () => (await bucket.get(hostStateKey(HUB)))?.value;
  const gauge = async (name: string, identity?: string) => {
    const labels = identity === undefined ? '' : `,identity="${identity}"`;
    const line = new RegExp(`^kuik_upstream_${name}\\{host="docker.io"${labels}\\} (.*)$`, 'm');
    return Number(line.exec(await metrics.render())?.[1]);
  };

  await pacer.told({ host: HUB }, word(80), { background: true });
  await hosts.heard({ node: 'n', hosts: [{ host: HUB, requests: 60, quotas: [word(20)] }] });
  await hosts.round();
  expect(await told()).toEqual({
    host: HUB,
    limit: 100,
    remaining: 20,
    resetAt: new Date(now + 21_600_000).toISOString(),
  });
  expect([await gauge('quota_limit'), await gauge('quota_remaining'), await gauge('quota_refill_seconds')]).toEqual([
    100, 20, 21_600,
  ]);
  expect(await bucket.keys()).toEqual([hostStateKey(HUB)]);
  // What pulls spent is not there for copies: docker.io has 60 at once.
  expect(await pacer.take({ host: HUB })).toBeGreaterThan(0);

  const { revision } = (await bucket.get(hostStateKey(HUB)))!;
  await hosts.round();
  expect((await bucket.get(hostStateKey(HUB)))!.revision).toBe(revision);

  await hosts.heard({ node: 'n', hosts: [{ host: HUB, requests: 0, quotas: [], limited: { retryAfterMs: 90_000 } }] });
  await hosts.round();
  expect(await told()).toMatchObject({ parkedUntil: new Date(now + 90_000).toISOString(), why: 'KUIK-REG-429' });
  const limited = { retryAfterMs: 30_000 };
  await hosts.heard({ node: 'n', hosts: [{ host: HUB, account: ALICE, requests: 100, quotas: [], limited }] });
  await hosts.round();
  expect(await gauge('parked_seconds', 'anonymous')).toBe(90);
  expect(await gauge('parked_seconds', 'credential')).toBe(30);
  expect(await told()).toMatchObject({ parkedUntil: new Date(now + 90_000).toISOString() });
  expect(await pacer.take({ host: HUB, account: ALICE })).toBe(30_000);
  expect(await pacer.take({ host: HUB, account: 'b'.repeat(32) })).toBe(0);

  leader = false;
  await hosts.heard({ node: 'n', hosts: [{ host: HUB, requests: 0, quotas: [word(1)] }] });
  await hosts.round();
  expect(await gauge('quota_remaining')).toBeNaN();
  leader = true;
  now += 21_600_000;
  await hosts.round();
  expect(await bucket.keys()).toEqual([]);
  await bus.close();
});
