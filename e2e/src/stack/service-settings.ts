import type { ServiceName } from '@kuik/contracts';

/** What the settings of every service are made of: where the parts are, and who this process is. */
export interface StackFacts {
  readonly natsUrl: string;
  readonly redisUrl: (service: ServiceName) => { url: string; username: string; passwordFile: string };
  readonly cacheWriterUrl: string;
  readonly cacheReaderUrl: string;
  readonly registries: Readonly<Record<string, { address?: string; ca?: string; plainHTTP?: boolean }>>;
  /** `localhost:<port>` of the proxy, as images name it. */
  readonly proxyPrefix: string;
  readonly proxyPort: number;
  readonly admissionPort: number;
  /** Files of one service: `nkey`, `kubeconfig`, `registry.key`, `registry.crt`, `broker-token`. */
  readonly file: (service: ServiceName, name: string) => string;
  /** Images that the local rules leave alone. */
  readonly ignoreImages: readonly string[];
}

/** Times of a local stack: shorter than a cluster's, so that a story about dying workers is not a story about waiting. */
const FAST = { lockMs: 2_000, stallCheckMs: 1_000, leaseMs: 4_000, renewMs: 1_000, retryMs: 500 };

/** The configuration file of one replica of a service, as data; written as YAML and given in KUIK_CONFIG. */
export function settingsOf(service: ServiceName, replica: number, httpPort: number, facts: StackFacts): Record<string, unknown> {
  const common = {
    http: { host: '127.0.0.1', port: httpPort },
    nats: { url: facts.natsUrl, nkeyFile: facts.file(service, 'nkey') },
  };
  const kube = { kubeconfig: facts.file(service, 'kubeconfig') };
  const redis = (): object => facts.redisUrl(service);
  const lease = { namespace: 'kuik-system', identity: `${service}-${replica}`, durationMs: FAST.leaseMs, renewMs: FAST.renewMs, retryMs: FAST.retryMs };
  const cache = (url: string): object => ({ url, keyFile: facts.file(service, 'registry.key'), certificateFile: facts.file(service, 'registry.crt') });
  const broker = { tokenFile: facts.file(service, 'broker-token') };
  const { registries } = facts;
  switch (service) {
    case 'webhook':
      return {
        ...common,
        kube,
        namespace: 'kuik-system',
        listen: { host: '127.0.0.1', port: facts.admissionPort },
        certificate: { dnsNames: ['127.0.0.1', 'localhost'] },
        proxyPrefixes: [facts.proxyPrefix],
        rules: { ignoreImages: [...facts.ignoreImages] },
      };
    case 'pod-watcher':
      return { ...common, kube, redis: redis(), lease, registries, namespace: 'kuik-system', proxyPrefixes: [facts.proxyPrefix] };
    case 'image-copier':
      return { ...common, kube, redis: redis(), cache: cache(facts.cacheWriterUrl), broker, registries, copy: { lockMs: FAST.lockMs, stallCheckMs: FAST.stallCheckMs } };
    case 'monitor':
      return { ...common, kube, redis: redis(), lease, broker, registries };
    case 'gc':
      return { ...common, kube, lease, cache: cache(facts.cacheWriterUrl) };
    case 'node-proxy':
      return {
        ...common,
        node: 'node-1',
        listen: [`127.0.0.1:${facts.proxyPort}`],
        cache: cache(facts.cacheReaderUrl),
        broker,
        registries,
      };
  }
}
