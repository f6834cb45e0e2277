import {
  addressPolicyConfig,
  brokerClientConfig,
  cacheConfig,
  DEFAULTS,
  duration,
  httpConfig,
  kubeConfig,
  natsConfig,
  paceConfig,
  redisConfig,
  httpProxyConfig,
  registriesConfig,
  upstreamTimeoutsConfig,
} from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

const positive = duration({ minMs: 1 });

export const copierConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  redis: redisConfig,
  kube: kubeConfig.prefault({}),
  cache: cacheConfig,
  registries: registriesConfig,
  httpProxy: httpProxyConfig,
  pace: paceConfig,
  addressPolicy: addressPolicyConfig,
  upstreamTimeouts: upstreamTimeoutsConfig,
  broker: brokerClientConfig,
  copy: z
    .strictObject({
      concurrency: z.number().int().min(1).max(64).default(DEFAULTS.copy.concurrency).describe('Images at once'),
      blobsPerImage: z
        .number()
        .int()
        .min(1)
        .max(16)
        .default(DEFAULTS.copy.blobsPerImage)
        .describe('Blobs of one image at once'),
      turnWait: positive
        .default(DEFAULTS.copy.turnWaitMs)
        .describe('How long a copy waits for another one that brings the same blob'),
      remember: positive
        .default(DEFAULTS.copy.rememberMs)
        .describe('How long it is remembered which repositories of the cache hold a blob'),
      lock: positive.default(DEFAULTS.copy.lockMs).describe('A worker silent for this long loses its job'),
      stallCheck: positive.default(DEFAULTS.copy.stallCheckMs),
      progressAfter: positive
        .default(DEFAULTS.copy.progressAfterMs)
        .describe('A copy that takes longer shows in its resource (phase Pulling)'),
      progressEvery: positive
        .default(DEFAULTS.copy.progressEveryMs)
        .describe('How often such a copy tells how far it is'),
      drain: positive.default(DEFAULTS.copy.drainMs).describe('How long running copies may go on after SIGTERM'),
    })
    .prefault({}),
});

export type CopierConfig = z.output<typeof copierConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadCopierConfig(env: Env): CopierConfig {
  return loadConfig({ name: 'image-copier', schema: copierConfig, env });
}
