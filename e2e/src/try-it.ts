import { EXAMPLE, type OwnRegistries } from './own-registries.ts';

export interface Standing {
  /** `localhost:<port>`: how images name the proxy. */
  readonly proxy: string;
  /** An image that the story has put into the cache. */
  readonly pulled?: string | undefined;
  /** A person's own registries; undefined when none were given. */
  readonly registries?: OwnRegistries | undefined;
  readonly upstream: 'builtin' | 'none';
  /** Pods really start. */
  readonly node?: boolean;
}

/** What a person is told once the stack stands: what can be done with it now, as commands. */
export function tryIt({ proxy, pulled, registries, upstream, node = false }: Standing): string[] {
  const head = ['The stack stays up (Ctrl-C stops it; logs in .kuik/runs). Try:', `  ${ENVIRONMENT}`];
  if (upstream === 'builtin') {
    return [
      ...head,
      ...(node
        ? [
            '  kubectl get pods -o wide; kubectl get events     # pods really start; delete one, or what it runs upstream',
          ]
        : []),
      '  kubectl get cachedimages; kubectl describe cachedimages',
      ...(pulled === undefined
        ? []
        : [
            `  skopeo inspect --tls-verify=false docker://${proxy}/${pulled}`,
            `  kubectl run hello --image=${pulled}; kubectl get pod hello -o yaml     # what the webhook made of it, and its request id`,
          ]),
      '  curl $FAULTS_URL          # script the upstream: faults, counts',
      '  curl -s $METRICS_NODE_PROXY | grep kuik_proxy',
    ];
  }
  const hosts = Object.entries(registries ?? {});
  const host = hosts[0]?.[0] ?? 'quay.io';
  return [
    ...hosts.map(([name, { address }]) => `Your registry ${name}${address === undefined ? '' : ` is at ${address}`}.`),
    ...(hosts.length === 0
      ? [`A registry with a private address needs --registries FILE, one line each: ${EXAMPLE}`]
      : []),
    ...head,
    `  kubectl run hello --image=${host}/<path>:<tag>        # an image of yours${node ? '' : '; there are no nodes, the pod stays pending'}`,
    '  kubectl get cachedimages -w                          # until it is Ready',
    `  skopeo inspect --tls-verify=false docker://${proxy}/${host}/<path>:<tag>`,
    'Then stop your registry, and pull again. A private image needs a pull secret (kubectl create secret docker-registry) that the pod names.',
  ];
}

const ENVIRONMENT = 'set -a; . .kuik/local.env; set +a';
