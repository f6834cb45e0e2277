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
  upstreamBreakerConfig,
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
  upstreamBreaker: upstreamBreakerConfig,
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
        .describe(
          'How long it is remembered which repositories of the cache hold a blob, after a copy met it there last',
        ),
      lock: positive.default(DEFAULTS.copy.lockMs).describe('A worker silent for this long loses its job'),
      stallCheck: positive.default(DEFAULTS.copy.stallCheckMs),
      progressAfter: positive
        .default(DEFAULTS.copy.progressAfterMs)
        .describe('A copy that takes longer shows in its resource (phase Pulling)'),
      progressEvery: positive
        .default(DEFAULTS.copy.progressEveryMs)
        .describe('How often such a copy tells how far it is'),
      referrers: z
        .boolean()
        .default(true)
        .describe('Copies signatures, SBOMs and whatever else refers to an image with it'),
      foreignLayers: z
        .boolean()
        .default(false)
        .describe(
          'Copies layers that their registry may not hold, from the URLs that manifests name; without credentials',
        ),
      drain: positive.default(DEFAULTS.copy.drainMs).describe('How long running copies may go on after SIGTERM'),
    })
    .prefault({}),
  transfers: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/, 'must be host:port, as 0.0.0.0:7440')
        .default('0.0.0.0:7440')
        .describe('Where node proxies and other copiers read what this one reads from upstream'),
      advertise: z
        .string()
        .regex(/^http:\/\/[^/\s]+$/, 'must be http://host:port')
        .optional()
        .describe("How others reach it; absent: this machine's first address"),
      folder: z
        .string()
        .default('/tmp/kuik-spool')
        .describe('Of spool files; what an earlier process left there is used'),
      spoolBytes: z
        .number()
        .int()
        .positive()
        .default(DEFAULTS.transfers.spoolBytes)
        .describe('All spool files together, in bytes; a blob that does not fit is read without being shared'),
      keep: positive.default(DEFAULTS.transfers.keepMs).describe('How long a spool file stays that nobody reads'),
    })
    .prefault({})
    .describe('One read from upstream for many readers (docs/transfers.md)'),
});

export type CopierConfig = z.output<typeof copierConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadCopierConfig(env: Env): CopierConfig {
  return loadConfig({ name: 'image-copier', schema: copierConfig, env });
}
