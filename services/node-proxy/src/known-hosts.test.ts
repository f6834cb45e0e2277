import { expect, it } from '@jest/globals';
import { memoryBus } from '@kuik/bus/memory';
import { HOST_STATE, hostStateKey } from '@kuik/contracts';
import { KnownHosts } from './known-hosts.ts';

const NOW = 1_700_000_000_000;
const at = (ms: number): string => new Date(NOW + ms).toISOString();

it('knows what everybody together knows, from the first question on', async () => {
  const bus = memoryBus();
  const bucket = bus.bucket(HOST_STATE, { create: true });
  const state = { host: 'r.example:5000', parkedUntil: at(60_000), limit: 100, remaining: 0 };
  await bucket.put(hostStateKey('r.example:5000'), state);
  let now = NOW;
  const hosts = new KnownHosts({ bus, now: () => now });
  expect([hosts.parkedMs('r.example:5000'), hosts.counts('r.example:5000')]).toEqual([0, false]);
  while (!hosts.counts('r.example:5000')) await new Promise(setImmediate);
  expect([hosts.parkedMs('r.example:5000'), hosts.left('r.example:5000')]).toEqual([60_000, '0 of 100 left']);
  now += 61_000;
  expect(hosts.parkedMs('r.example:5000')).toBe(0);
  await bucket.delete(hostStateKey('r.example:5000'));
  while (hosts.counts('r.example:5000')) await new Promise(setImmediate);
  await hosts.stop();
  await bus.close();
});

it('without NATS it knows what the registry is, and what it told this node', () => {
  let now = NOW;
  const hosts = new KnownHosts({ now: () => now });
  expect([hosts.counts('docker.io'), hosts.counts('ghcr.io'), hosts.left('docker.io')]).toEqual([
    true,
    false,
    undefined,
  ]);
  hosts.limited('docker.io', 30_000);
  hosts.limited('docker.io');
  expect([hosts.parkedMs('docker.io'), hosts.parkedMs('ghcr.io')]).toEqual([30_000, 0]);
  now += 30_000;
  expect(hosts.parkedMs('docker.io')).toBe(0);
});
