import { expect, it } from '@jest/globals';
import { monitorConfig } from './config.ts';
import { policyOf } from './host-policy.ts';

const HOUR = 3_600_000;
const STANDARD = {
  checks: 60,
  windowMs: 6 * HOUR,
  intervalMs: 6 * HOUR,
  timeoutMs: 10_000,
  method: 'HEAD',
  resolveDigest: true,
};
/** kuik v2's own defaults and an override, as its values file writes them. */
const V2 = {
  default: { method: 'HEAD', interval: '3h', maxPerInterval: 25, timeout: '5s', resolveDigest: true },
  items: { 'docker.io': { interval: '1h', maxPerInterval: 6 }, 'r.test': { resolveDigest: false, method: 'GET' } },
};

it("refuses kuik v2's fallback secret and says where it belongs", () => {
  const registries = { items: { 'docker.io': { fallbackCredentialSecret: { name: 'hub', namespace: 'kuik' } } } };
  const needed = { nats: { url: 'nats://n:1' }, redis: { url: 'redis://r:1' } };
  const { error } = monitorConfig.safeParse({ ...needed, monitor: { registries } });
  expect(error?.issues).toMatchObject([
    {
      path: ['monitor', 'registries', 'items', 'docker.io', 'fallbackCredentialSecret'],
      message: expect.stringContaining("pod-watcher's broker.fallbackSecrets"),
    },
  ]);
});

it.each([
  ['nothing is set', {}, 'docker.io', STANDARD],
  ['a budget of its own', { budgets: { 'docker.io': 7 } }, 'docker.io', { ...STANDARD, checks: 7 }],
  [
    "v2's default",
    { registries: V2 },
    'quay.io',
    { ...STANDARD, checks: 25, windowMs: 3 * HOUR, intervalMs: 3 * HOUR, timeoutMs: 5_000 },
  ],
  [
    "v2's item, field by field",
    { registries: V2 },
    'docker.io',
    { ...STANDARD, checks: 6, windowMs: HOUR, intervalMs: HOUR, timeoutMs: 5_000 },
  ],
  ['an item that opts out', { registries: V2 }, 'r.test', { method: 'GET', resolveDigest: false, checks: 25 }],
  [
    'an item that opts in',
    {
      registries: {
        default: { resolveDigest: false, maxPerInterval: 3 },
        items: { 'r.test': { resolveDigest: true } },
      },
    },
    'r.test',
    { ...STANDARD, checks: 3, resolveDigest: true },
  ],
  [
    'a default that opts out',
    { registries: { default: { resolveDigest: false } } },
    'r.test',
    { ...STANDARD, resolveDigest: false },
  ],
  ['what objects inherit', { registries: V2 }, 'constructor', { checks: 25 }],
])('a registry is asked as %s says', (_, monitor, host, expected) => {
  const needed = { nats: { url: 'nats://n:1' }, redis: { url: 'redis://r:1' } };
  expect(policyOf(monitorConfig.parse({ ...needed, monitor }), host)).toMatchObject(expected);
});
