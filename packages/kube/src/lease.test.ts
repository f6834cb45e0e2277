import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createLeadership, microTime } from './lease.ts';
import { memoryKube } from './memory/index.ts';
import type { KubeClient, KubeObject, Leadership, LeadershipOptions } from './port.ts';
import { LEASES } from './resources.ts';
import { until } from './testing/until.ts';

const options = { namespace: 'default', name: 'lease', identity: 'me', leaseMs: 1_000 };
const started: Leadership[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
});

function start(more: Partial<LeadershipOptions> & { client: KubeClient }): Leadership {
  const leadership = createLeadership({ ...options, ...more });
  started.push(leadership);
  leadership.start();
  return leadership;
}

describe('the leader', () => {
  it('is none any more once its last renewal is too old, whatever its loop does', async () => {
    const client = memoryKube();
    const leadership = start({ client, renewMs: 60_000 });
    await until(() => leadership.isLeader(), { what: 'leadership' });
    const startedAt = performance.now();
    // No renewal, no timer of ours: the clock alone ends it, a fifth of the lease before others may take over.
    while (leadership.isLeader() && performance.now() - startedAt < 2_000);
    expect(performance.now() - startedAt).toBeLessThan(950);
    expect(() => leadership.assertLeader()).toThrow('me does not hold lease "lease": leave the write to its holder');
    await leadership.stop();
  });

  it('counts a renewal from when it was sent, not from its answer', async () => {
    const client = memoryKube();
    const create = client.create.bind(client);
    client.create = async <T extends KubeObject>(...call: Parameters<typeof create>): Promise<T> => {
      await sleep(500);
      return create<T>(...call);
    };
    const leadership = start({ client, renewMs: 60_000 });
    const changes: { leader: boolean; at: number }[] = [];
    leadership.onChange((leader) => changes.push({ leader, at: performance.now() }));
    await until(() => changes.length === 2, { what: 'the end of leadership' });
    expect(changes.map(({ leader }) => leader)).toEqual([true, false]);
    expect(changes[1]!.at - changes[0]!.at).toBeLessThan(700);
    await leadership.stop();
  });

  it('keeps it through calls that fail, and reports them', async () => {
    const client = memoryKube();
    const errors: unknown[] = [];
    const changes: boolean[] = [];
    const leadership = start({ client, renewMs: 50, onError: (error) => errors.push(error) });
    leadership.onChange((leader) => changes.push(leader));
    await until(() => leadership.isLeader(), { what: 'leadership' });
    client.failNext('unavailable', { times: 4 });
    await until(() => errors.length >= 2, { what: 'two errors' });
    const renewed = client.calls.length;
    await until(() => client.calls.length > renewed + 3, { what: 'renewals' });
    expect([leadership.isLeader(), changes]).toEqual([true, [true]]);
    await leadership.stop();
    expect(changes).toEqual([true, false]);
  });

  it('releases at once when it stops, and stops twice without a word', async () => {
    const client = memoryKube();
    const leadership = start({ client });
    await until(() => leadership.isLeader(), { what: 'leadership' });
    await leadership.stop();
    await leadership.stop();
    expect(client.objects(LEASES)).toMatchObject([{ spec: { leaseDurationSeconds: 1 } }]);
    expect(client.objects(LEASES)[0]).not.toHaveProperty('spec.holderIdentity');
  });
});

describe('microTime', () => {
  it('has six digits after the point', () => {
    expect(microTime(new Date(1_700_000_000_123))).toBe('2023-11-14T22:13:20.123000Z');
  });
});
