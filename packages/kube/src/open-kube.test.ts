import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryKube, type MemoryKube } from './memory/index.ts';
import { openLeadership, type KubeHost } from './open-kube.ts';
import type { Leadership } from './port.ts';
import { LEASES } from './resources.ts';
import { until } from './testing/until.ts';

let client: MemoryKube;
let said: [string, unknown][];
let counted: Record<string, number>;
let leadership: Leadership;
const host: KubeHost = {
  log: {
    info: (...line) => said.push(line as [string, unknown]),
    warn: (...line) => said.push(line as [string, unknown]),
  },
  metrics: {
    counter: ({ name }) => ({
      inc(labels) {
        const key = `${name} ${Object.values(labels).join(' ')}`;
        counted[key] = (counted[key] ?? 0) + 1;
      },
    }),
    gauge: ({ name }) => ({ set: (value) => void (counted[name] = value) }),
  },
};

beforeEach(() => {
  client = memoryKube();
  [said, counted] = [[], {}];
  const lease = { namespace: 'kuik-system', identity: 'one', duration: 2_000, renew: 20 };
  leadership = openLeadership(lease, 'gc', client, host);
});
afterEach(() => leadership.stop());

describe('openLeadership', () => {
  it('tells who leads, by log and gauge, until it stops', async () => {
    expect(counted['kuik_leader']).toBe(0);
    leadership.start();
    await until(() => leadership.isLeader() && counted['kuik_leader'] === 1, { what: 'the lease' });
    expect(client.find(LEASES, { namespace: 'kuik-system', name: 'kuik-gc' })).toMatchObject({
      spec: { holderIdentity: 'one' },
    });
    expect(said).toEqual([['leading', { lease: 'kuik-gc', identity: 'one' }]]);
    await leadership.stop();
    expect(counted['kuik_leader']).toBe(0);
    expect(said.at(-1)).toEqual(['not leading', { lease: 'kuik-gc', identity: 'one' }]);
  });

  it('counts and tells each round that failed', async () => {
    client.failNext('unavailable', { resource: LEASES, times: 2 });
    leadership.start();
    await until(() => leadership.isLeader(), { what: 'the lease after failures' });
    expect(counted).toMatchObject({ 'kuik_loop_failures_total lease unavailable': 1 });
    expect(said.map(([line]) => line)).toEqual(['lease not renewed', 'leading']);
  });
});
