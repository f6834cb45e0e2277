import type { ServiceIdentity } from '@kuik/testbed';

/** What the settings of every service are made of, beside who it is. */
export interface StackFacts {
  readonly registries: Readonly<Record<string, object>>;
  /** `localhost:<port>`: the proxy, as images name it. */
  readonly proxyPrefix: string;
  readonly proxyPort: number;
  readonly admissionPort: number;
  /** Images that the local rules leave alone. */
  readonly ignoreImages: readonly string[];
}

/** Times of a local stack: shorter than a cluster's, so that a story about dying workers is not a story about waiting. */
const LEASE = { namespace: 'kuik-system', durationMs: 4_000, renewMs: 1_000, retryMs: 500 };
const LOCK = { lockMs: 2_000, stallCheckMs: 1_000 };
const REMOVAL = { graceMs: 1_000, checkMs: 500 };

/** The configuration file of one replica of a service, as data; written as YAML and named in KUIK_CONFIG. */
export function settingsOf(
  identity: ServiceIdentity,
  replica: string,
  httpPort: number,
  facts: StackFacts,
): Record<string, unknown> {
  const { nats, redis, cache, kubeconfig, brokerTokenFile } = identity;
  const { registries } = facts;
  const common = { http: { host: '127.0.0.1', port: httpPort }, nats };
  const kube = { kubeconfig };
  const lease = { ...LEASE, identity: replica };
  const broker = { tokenFile: brokerTokenFile };
  switch (identity.service) {
    case 'webhook':
      return {
        ...common,
        kube,
        listen: { host: '127.0.0.1', port: facts.admissionPort },
        certificate: { dnsNames: ['127.0.0.1', 'localhost'] },
        proxyPrefixes: [facts.proxyPrefix],
        rules: { ignoreImages: facts.ignoreImages },
      };
    case 'pod-watcher':
      return {
        ...common,
        kube,
        redis,
        lease,
        registries,
        proxyPrefixes: [facts.proxyPrefix],
        retry: { first: '500ms', max: '5s' },
        reconcile: { holders: '1s' },
      };
    case 'image-copier':
      return { ...common, kube, redis, cache, broker, registries, copy: LOCK };
    case 'monitor':
      return { ...common, kube, redis, lease, broker, registries };
    case 'gc':
      return { ...common, kube, lease, cache, removal: REMOVAL };
    case 'node-proxy':
      return { ...common, node: 'node-1', listen: [`127.0.0.1:${facts.proxyPort}`], cache, broker, registries };
  }
}
