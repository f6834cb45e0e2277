import {
  addressPolicyConfig,
  brokerClientConfig,
  cacheConfig,
  DEFAULTS,
  httpConfig,
  kubeConfig,
  natsConfig,
  paceConfig,
  redisConfig,
  registriesConfig,
  upstreamTimeoutsConfig,
} from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

const ms = z.number().int().positive();

export const copierConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  redis: redisConfig,
  kube: kubeConfig.prefault({}),
  cache: cacheConfig,
  registries: registriesConfig,
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
      turnWaitMs: ms
        .default(DEFAULTS.copy.turnWaitMs)
        .describe('How long a copy waits for another one that brings the same blob'),
      rememberMs: ms
        .default(DEFAULTS.copy.rememberMs)
        .describe('How long it is remembered which repositories of the cache hold a blob'),
      lockMs: ms.default(DEFAULTS.copy.lockMs).describe('A worker silent for this long loses its job'),
      stallCheckMs: ms.default(DEFAULTS.copy.stallCheckMs),
      progressAfterMs: ms
        .default(DEFAULTS.copy.progressAfterMs)
        .describe('A copy that takes longer shows in its resource (phase Pulling)'),
      progressEveryMs: ms.default(DEFAULTS.copy.progressEveryMs).describe('How often such a copy tells how far it is'),
      drainMs: ms.default(DEFAULTS.copy.drainMs).describe('How long running copies may go on after SIGTERM'),
    })
    .prefault({}),
});

export type CopierConfig = z.output<typeof copierConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadCopierConfig(env: Env): CopierConfig {
  return loadConfig({ name: 'image-copier', schema: copierConfig, env });
}
