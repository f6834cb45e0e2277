import {
  addressPolicyConfig,
  CHECK_MODES,
  credentialRequesters,
  DEFAULTS,
  duration,
  grantSignerConfig,
  httpConfig,
  kubeConfig,
  leaseConfig,
  namespaceOf,
  natsConfig,
  ownNamespaces,
  proxyPrefixes,
  redisConfig,
  httpProxyConfig,
  registriesConfig,
  rulesFileSetting,
  upstreamTimeoutsConfig,
} from '@kuik/contracts';
import { type Env, loadConfig } from '@kuik/runtime';
import { z } from 'zod';
import { configuredKinds } from './configured-kind.ts';
import { platformsSetting } from './platforms-setting.ts';
import { credentialProvidersConfig, decideProviders } from './providers/configured-providers.ts';

const account = z.string().regex(/^[a-z0-9.-]+\/[a-z0-9.-]+$/, 'must look like namespace/name');

export const podWatcherConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  redis: redisConfig,
  kube: kubeConfig.prefault({}),
  lease: leaseConfig,
  registries: registriesConfig,
  httpProxy: httpProxyConfig,
  addressPolicy: addressPolicyConfig,
  upstreamTimeouts: upstreamTimeoutsConfig,
  proxyPrefixes,
  rulesFile: rulesFileSetting,
  platforms: platformsSetting,
  usage: z
    .strictObject({
      completedHold: duration()
        .default(DEFAULTS.usage.completedHoldMs)
        .describe('How long a completed pod or job still holds its images'),
      revisions: z
        .number()
        .int()
        .min(0)
        .max(100)
        .default(DEFAULTS.usage.revisions)
        .describe('How many revisions before the current one (ReplicaSets without pods) hold their images, per owner'),
      kinds: configuredKinds.describe(
        "Kinds that hold images, beside pods and Kubernetes' own workloads; docs/holders.md has recipes",
      ),
      kindsLookedFor: duration({ minMs: 100 })
        .default(DEFAULTS.usage.kindsLookedForMs)
        .describe('A kind that the API server does not serve is looked for again after this time'),
    })
    .prefault({}),
  expiry: z
    .strictObject({
      unused: duration({ minMs: 1000 })
        .default(DEFAULTS.expiry.unusedMs)
        .describe('An image unused for so long expires'),
      repositoryIdle: duration()
        .default(60 * 60_000)
        .describe('A Repository without images that nobody edited goes after this time'),
    })
    .prefault({}),
  fights: z
    .strictObject({
      pods: z
        .number()
        .int()
        .min(2)
        .max(20)
        .default(DEFAULTS.fights.pods)
        .describe(
          'An owner is spared after so many rewritten pods in a row, each made in place of one that it deleted',
        ),
      within: duration({ minMs: 1000 })
        .default(DEFAULTS.fights.withinMs)
        .describe('As long as they were made within this time'),
      remember: duration({ minMs: 1000 })
        .default(DEFAULTS.fights.rememberMs)
        .describe('A spared owner without pods for so long is forgotten'),
    })
    .prefault({})
    .describe('Owners that fight the rewriting of their pods'),
  tags: z
    .strictObject({
      checkOnPull: z
        .enum(CHECK_MODES)
        .optional()
        .describe(
          'Whether nodes ask upstream at a pull if a tag has moved, where the Repository does not say: Always, Interval, Never; absent: Always for images that a pod or workload uses with imagePullPolicy Always',
        ),
      checkInterval: duration({ minMs: 1000 })
        .default(DEFAULTS.tags.checkIntervalMs)
        .describe('For Interval, where the Repository does not say'),
    })
    .prefault({})
    .describe('Tags that move'),
  retry: z
    .strictObject({
      first: duration({ minMs: 10 }).default(DEFAULTS.retry.firstMs).describe('After the first failed copy'),
      max: duration({ minMs: 10 }).default(DEFAULTS.retry.maxMs),
      unavailable: duration({ minMs: 10 })
        .default(DEFAULTS.retry.unavailableMs)
        .describe('An image that upstream does not have is looked for this often'),
    })
    .prefault({}),
  reconcile: z
    .strictObject({
      resync: duration({ minMs: 100 })
        .default(10 * 60_000)
        .describe('Everything is listed and looked at again this often'),
      spacing: duration().default(500).describe('An image is looked at no more than once in this time'),
      settle: duration()
        .default(1000)
        .describe(
          'What is new waits so long (longer among many) for its first copy before it is described; a Repository is as far behind',
        ),
      holders: duration()
        .default(30_000)
        .describe(
          'When nothing but its holders changed, an image is described again no sooner (twice that, up to 8 times, while they go on changing); the first and the last show at once',
        ),
      patience: duration()
        .default(10_000)
        .describe(
          'A term that begins waits so long for workloads that cannot be listed; then copies go on without them',
        ),
      concurrency: z.number().int().min(1).max(64).default(8),
    })
    .prefault({}),
  privateImages: grantSignerConfig,
  broker: z
    .strictObject({
      audience: z.string().default(DEFAULTS.broker.audience),
      nodeProxies: z.array(account).optional().describe("The node proxies' ServiceAccounts, namespace/name"),
      services: z.array(account).optional().describe('ServiceAccounts of the other services that ask for credentials'),
      podWait: duration()
        .default(DEFAULTS.broker.podWaitMs)
        .describe('How long a pod is waited for that no watch has shown'),
      fallbackSecrets: z
        .record(z.string(), z.strictObject({ name: z.string().min(1), namespace: z.string().min(1) }))
        .default({})
        .describe(
          "By host: the pull secret that monitor checks with when no pod's does (kuik v2: fallbackCredentialSecret); nothing is copied or pulled with it",
        ),
      reviewTtl: duration().default(DEFAULTS.broker.reviewTtlMs).describe('How long a TokenReview is believed'),
      secretTtl: duration()
        .default(10_000)
        .describe('How long a secret that was read is used without reading it again'),
      headerTtl: duration({ minMs: 1000 })
        .default(60_000)
        .describe('How long a requester may use the header of a Basic-only registry'),
    })
    .prefault({}),
  credentialProviders: credentialProvidersConfig,
});
export type PodWatcherConfig = z.output<typeof podWatcherConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadPodWatcherConfig(env: Env): PodWatcherConfig {
  const config = loadConfig({ name: 'pod-watcher', schema: podWatcherConfig, env });
  return { ...config, credentialProviders: decideProviders(config.credentialProviders, env) };
}

/** Our own namespaces follow from the release's, unless they are named. */
export function accountsOf({ broker, lease: { namespace } }: PodWatcherConfig): {
  nodeProxies: string[];
  services: string[];
  monitor: string;
} {
  const { onEachNode, anywhere } = credentialRequesters();
  const onNodes = namespaceOf({ runs: 'on-each-node' }, namespace);
  return {
    nodeProxies:
      broker.nodeProxies ??
      onEachNode.flatMap((service) => [`${onNodes}/kuik-${service}`, `${namespace}/kuik-${service}`]),
    services: broker.services ?? anywhere.map((service) => `${namespace}/kuik-${service}`),
    monitor: `${namespace}/kuik-monitor`,
  };
}

/** Namespaces whose pods hold nothing, whatever the rules say: the cluster's own and ours. */
export function untouchedNamespaces(config: PodWatcherConfig): string[] {
  const proxies = accountsOf(config).nodeProxies.map((name) => name.slice(0, name.indexOf('/')));
  return [...new Set([...ownNamespaces(config.lease.namespace), ...proxies])];
}
