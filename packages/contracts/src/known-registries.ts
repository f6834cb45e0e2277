/** What is known of a registry's limits. Each is a default: `pace.hosts.<host>` and `monitor.registries` win. */
export interface KnownRegistry {
  /** Copies and checks that may begin. A copy is some ten requests, a check is one. */
  readonly pace: { readonly perSecond: number; readonly burst: number };
  /** It counts GETs of manifests against a quota, and HEADs not at all: manifests are read once for the whole cluster. */
  readonly countsManifests?: true;
}

/**
 * Registries that many clusters use, and what they say of their limits. What a registry says while it is asked (its quota headers,
 * Retry-After) counts more than this table.
 */
export const KNOWN_REGISTRIES: Readonly<Record<string, KnownRegistry>> = {
  // GETs of manifests: 100 in 6 h per IPv4 address or IPv6 /64, 200 for a free account. All requests: "thousands per minute" per address.
  // https://docs.docker.com/docker-hub/usage/pulls/ and https://docs.docker.com/docker-hub/usage/
  'docker.io': { pace: { perSecond: 2, burst: 60 }, countsManifests: true },
  // Nothing is published for pulls.
  'ghcr.io': { pace: { perSecond: 20, burst: 200 } },
  // "A few requests per second per IP, with some bursting", tens of requests per second at most: https://access.redhat.com/solutions/6218921
  'quay.io': { pace: { perSecond: 1, burst: 30 } },
  // Pulls without an account 1 per second, with one 10: https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
  'public.ecr.aws': { pace: { perSecond: 1, burst: 20 } },
  // A redirector of the community, paid by donations: nothing is published, https://registry.k8s.io asks to mirror.
  'registry.k8s.io': { pace: { perSecond: 5, burst: 60 } },
  // Nothing is published for pulls.
  'mcr.microsoft.com': { pace: { perSecond: 10, burst: 100 } },
  // 50,000 requests in 10 minutes and 1,000,000 a day per address, the second of which is 11 per second: https://cloud.google.com/container-registry/quotas
  'gcr.io': { pace: { perSecond: 5, burst: 200 } },
};

/** What the table says of a host; undefined: nothing. */
export function knownRegistry(host: string): KnownRegistry | undefined {
  return Object.hasOwn(KNOWN_REGISTRIES, host) ? KNOWN_REGISTRIES[host] : undefined;
}
