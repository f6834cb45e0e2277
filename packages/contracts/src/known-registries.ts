/** What is known of a registry's limits. Each is a default: `pace.hosts.<host>` and `monitor.registries` win. */
export interface KnownRegistry {
  /** Copies and checks that may begin. A copy is some ten requests, a check is one. */
  readonly pace: { readonly perSecond: number; readonly burst: number };
  /** It counts GETs of manifests against a quota, and HEADs not at all: manifests are read once for the whole cluster. */
  readonly countsManifests?: true;
  /** What it publishes of its limits, and where. */
  readonly says: string;
}

const UNPUBLISHED = 'nothing published for pulls';

/**
 * Registries that many clusters use. What a registry says while it is asked (its quota headers, Retry-After) counts more than this
 * table. docs/defaults.md is written from it.
 */
export const KNOWN_REGISTRIES: Readonly<Record<string, KnownRegistry>> = {
  'docker.io': {
    pace: { perSecond: 2, burst: 60 },
    countsManifests: true,
    says:
      '100 GETs of manifests in 6 h per IPv4 address or IPv6 /64, 200 per free account; of all requests "thousands per minute" per address ' +
      '(https://docs.docker.com/docker-hub/usage/)',
  },
  'ghcr.io': { pace: { perSecond: 20, burst: 200 }, says: UNPUBLISHED },
  'quay.io': {
    pace: { perSecond: 1, burst: 30 },
    says: '"a few requests per second per IP, with some bursting" (https://access.redhat.com/solutions/6218921)',
  },
  'public.ecr.aws': {
    pace: { perSecond: 1, burst: 20 },
    says:
      'one pull per second without an account, ten with one; 500 GB a month without ' +
      '(https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html)',
  },
  'registry.k8s.io': { pace: { perSecond: 5, burst: 60 }, says: UNPUBLISHED },
  'mcr.microsoft.com': { pace: { perSecond: 10, burst: 100 }, says: UNPUBLISHED },
  'gcr.io': {
    pace: { perSecond: 1, burst: 200 },
    says: '50,000 requests in 10 minutes and 1,000,000 a day per address (https://cloud.google.com/container-registry/quotas)',
  },
};

/** What the table says of a host; undefined: nothing. */
export function knownRegistry(host: string): KnownRegistry | undefined {
  return Object.hasOwn(KNOWN_REGISTRIES, host) ? KNOWN_REGISTRIES[host] : undefined;
}
