import {
  addressPolicyConfig,
  brokerClientConfig,
  DEFAULTS,
  duration,
  httpConfig,
  kubeConfig,
  leaseConfig,
  natsConfig,
  paceConfig,
  redisConfig,
  httpProxyConfig,
  registriesConfig,
  upstreamTimeoutsConfig,
} from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';
import { hostPolicies } from './host-policy.ts';

const positive = duration({ minMs: 1 });
const checks = z.number().int().min(0).max(100_000);

export const monitorConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  redis: redisConfig,
  kube: kubeConfig.prefault({}),
  lease: leaseConfig,
  broker: brokerClientConfig,
  registries: registriesConfig,
  httpProxy: httpProxyConfig,
  pace: paceConfig,
  addressPolicy: addressPolicyConfig,
  upstreamTimeouts: upstreamTimeoutsConfig,
  monitor: z
    .strictObject({
      interval: positive.default(DEFAULTS.monitor.intervalMs).describe('Shortest time between two checks of one image'),
      budgetPerInterval: checks
        .default(DEFAULTS.monitor.budgetPerInterval)
        .describe('Checks of one registry within any interval; 0 checks nothing'),
      budgets: z.record(z.string(), checks).default({}).describe('The same for single registries: docker.io: 20'),
      registries: hostPolicies,
      timeout: positive.default(DEFAULTS.monitor.timeoutMs).describe('For one check, credentials included'),
      hostsAtOnce: z.number().int().min(1).max(256).default(16),
      tellHosts: duration({ minMs: 50 })
        .default(5_000)
        .describe('How often nodes are told which registries limit us, and what is left of quotas'),
      idle: duration({ minMs: 10 }).default(5_000).describe('Longest time without a look at the list of images'),
    })
    .prefault({}),
});
export type MonitorConfig = z.output<typeof monitorConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadMonitorConfig(env: Env): MonitorConfig {
  return loadConfig({ name: 'monitor', schema: monitorConfig, env });
}
