import { cacheConfig, DEFAULTS, duration, httpConfig, kubeConfig, leaseConfig, natsConfig } from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

export const gcConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  kube: kubeConfig.prefault({}),
  cache: cacheConfig,
  lease: leaseConfig,
  removal: z
    .strictObject({
      grace: duration()
        .default(DEFAULTS.removal.graceMs)
        .describe('How long a condemned image stays, so that nodes hear of it and a new use can keep it'),
      confirmTimeout: duration({ minMs: 1 }).default(DEFAULTS.removal.confirmTimeoutMs),
      check: duration({ minMs: 10 }).default(10_000).describe('Time between two rounds'),
    })
    .prefault({}),
  presence: z
    .strictObject({
      every: duration({ minMs: 1 })
        .default(DEFAULTS.presence.everyMs)
        .describe('How often it is looked whether the cache still has an image; what is missing is copied again'),
      check: duration({ minMs: 10 }).default(10_000).describe('Time between two rounds, each of a few images'),
    })
    .prefault({}),
});
export type GcConfig = z.output<typeof gcConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadGcConfig(env: Env): GcConfig {
  return loadConfig({ name: 'gc', schema: gcConfig, env });
}
