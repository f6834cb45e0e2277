import {
  addressPolicyConfig,
  brokerClientConfig,
  cacheConfig,
  DEFAULTS,
  duration,
  grantCheckerConfig,
  httpConfig,
  natsConfig,
  httpProxyConfig,
  registriesConfig,
  upstreamBreakerConfig,
  upstreamTimeoutsConfig,
} from '@kuik/contracts';
import { z } from 'zod';
import { parseListenAddress } from './listen.ts';
import { CHECK_FAILURES } from './tag-checks.ts';

const positive = duration({ minMs: 1 });
const { proxy, cacheTimeouts: cache } = DEFAULTS;

const listenAddress = z.string().transform((written, context) => {
  const address = parseListenAddress(written);
  if (address !== undefined) return address;
  context.addIssue({
    code: 'custom',
    message: `${JSON.stringify(written)} is not an address; write 127.0.0.1:7439 or [::1]:7439`,
  });
  return z.NEVER;
});

/** Settings of the node proxy. */
export const configSchema = z.strictObject({
  listen: z
    .array(listenAddress)
    .min(1)
    .default([
      { host: '127.0.0.1', port: 7439 },
      { host: '::1', port: 7439 },
    ])
    .describe('Where pulls are served; an IPv6 address that the node lacks is passed over'),
  node: z.string().default('unknown').describe('Name of this node, for the report of what was served'),
  http: httpConfig,
  nats: natsConfig
    .partial({ url: true })
    .prefault({})
    .describe('NATS; without a url there is neither state nor broker'),
  cache: cacheConfig,
  registries: registriesConfig,
  httpProxy: httpProxyConfig,
  broker: brokerClientConfig,
  addressPolicy: addressPolicyConfig,
  privateImages: grantCheckerConfig,
  proxy: z
    .strictObject({
      manifestCacheBytes: z.number().int().min(0).default(proxy.manifestCacheBytes),
      bufferPoolBytes: z.number().int().positive().default(proxy.bufferPoolBytes).describe('All transfers together'),
      bufferMaxBytes: z
        .number()
        .int()
        .positive()
        .default(proxy.bufferMaxBytes)
        .describe('One transfer, while there are few'),
      bufferMinBytes: z
        .number()
        .int()
        .positive()
        .default(proxy.bufferMinBytes)
        .describe('One transfer, when there are many'),
      stateTimeout: positive
        .default(proxy.stateTimeoutMs)
        .describe('How long a request may wait for what is known of a tag'),
      statePause: positive.default(5000).describe('After a wait that brought nothing nobody waits for this long'),
      followedTags: z.number().int().positive().default(5000).describe('Tags whose state is followed'),
      tagMemory: positive.default(proxy.tagMemoryMs).describe('How long what a tag names is remembered'),
      patience: positive
        .default(proxy.patienceMs)
        .describe("How long upstream may think about a tag before the cache's own tag is looked at"),
      toldInterval: positive.default(5_000).describe('How often this node tells what registries said of their limits'),
      sharedRead: positive
        .default(2_000)
        .describe('How long a copier may take to read a manifest for all nodes, of a registry that counts them'),
      servedInterval: positive.default(proxy.servedIntervalMs),
      clientIdle: positive.default(120_000).describe('A client that takes nothing for this long is gone'),
      drain: positive.default(20_000).describe('How long running transfers may go on after SIGTERM'),
    })
    .prefault({}),
  tags: z
    .strictObject({
      atMostEvery: positive
        .default(DEFAULTS.tags.atMostEveryMs)
        .describe('Upstream is asked no more often whether a tag that is pulled has moved'),
      patience: positive
        .default(DEFAULTS.tags.patienceMs)
        .describe('How long it is waited for then; after that what is kept is served, marked stale'),
      strict: z
        .array(z.enum(CHECK_FAILURES))
        .default([])
        .describe('When upstream cannot say so for one of these reasons, the pull fails instead'),
    })
    .prefault({})
    .describe('Tags that are checked when they are pulled'),
  cacheTimeouts: z
    .strictObject({
      connect: positive.default(cache.connectMs),
      headers: positive.default(cache.headersMs),
      idle: positive.default(cache.idleMs),
      breakerFailures: z.number().int().positive().default(cache.breakerFailures),
      breakerOpen: positive.default(cache.breakerOpenMs),
    })
    .prefault({}),
  upstreamTimeouts: upstreamTimeoutsConfig,
  upstreamBreaker: upstreamBreakerConfig,
  transfers: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Read through a copier what the cache lacks, so that it is read once'),
      connect: positive.default(DEFAULTS.transfers.connectMs).describe('How long a copier may take to be connected to'),
      patience: positive
        .default(DEFAULTS.transfers.patienceMs)
        .describe('Neither answered nor shown to live for so long, it is left, and upstream read without it'),
    })
    .prefault({})
    .describe('One read from upstream for many nodes (docs/transfers.md)'),
});

export type Config = Readonly<z.output<typeof configSchema>>;
