import type { MetricSpec } from './metrics.ts';

const CONTROLLER = 'kube_image_keeper_controller';
const PROXY = 'kube_image_keeper_proxy';
const BUILD = ['version', 'revision', 'built', 'goversion', 'goos', 'goarch'] as const;

const counter = <const L extends string[]>(name: string, help: string, ...labels: L) =>
  ({ type: 'counter', name, help, labels }) as const satisfies MetricSpec;
const gauge = <const L extends string[]>(name: string, help: string, ...labels: L) =>
  ({ type: 'gauge', name, help, labels }) as const satisfies MetricSpec;

/**
 * Every metric of kuik v1 under its own name, with its labels, so that dashboards and alerts go on; each from the service that knows the fact
 * now (docs/kuik-v1.md). Names break with the conventions of Prometheus where v1 did.
 */
export const METRICS_V1 = {
  controllerBuildInfo: gauge(`${CONTROLLER}_build_info`, 'Constant 1; what runs (Node.js where v1 named Go)', ...BUILD),
  controllerUp: gauge(`${CONTROLLER}_up`, 'Whether pod-watcher runs'),
  controllerLeader: gauge(`${CONTROLLER}_is_leader`, 'Whether this pod-watcher leads'),
  cachedImages: gauge(`${CONTROLLER}_cached_images`, 'CachedImages', 'status', 'cached', 'expiring'),
  repositories: gauge(`${CONTROLLER}_repositories`, 'Repositories', 'status'),
  containers: gauge(
    `${CONTROLLER}_containers_with_cached_image`,
    'Regular containers of pods whose image has a CachedImage',
    'status',
    'cached',
  ),
  cachingRequests: counter(`${CONTROLLER}_image_caching_request`, 'Copies ended', 'successful', 'upstream_registry'),
  putInCache: counter(
    `${CONTROLLER}_image_put_in_cache_total`,
    'Copies that worked, also those that found nothing new',
  ),
  removedFromCache: counter(`${CONTROLLER}_image_removed_from_cache_total`, 'Images removed'),
  proxyBuildInfo: gauge(`${PROXY}_build_info`, 'Constant 1; what runs (Node.js where v1 named Go)', ...BUILD),
  proxyRequests: counter(
    `${PROXY}_http_requests_total`,
    'Pull requests answered',
    'registry',
    'statusCode',
    'cacheHit',
  ),
} as const satisfies Record<string, MetricSpec>;

/** Values of v1's `build_info`; Node.js and its platform stand where Go's were. */
export function buildInfoV1(version = 'dev'): Record<(typeof BUILD)[number], string> {
  const { version: goversion, platform: goos, arch: goarch } = process;
  return { version, revision: '', built: '', goversion, goos, goarch };
}
