import { hostname } from 'node:os';
import {
  leaseName,
  METRICS,
  type CachedImage,
  type kubeConfig,
  type leaseConfig,
  type MetricSpec,
  type ServiceNeeding,
} from '@kuik/contracts';
import type { z } from 'zod';
import { createKubeClient } from './client.ts';
import { createLeadership } from './lease.ts';
import { type LeaderCopy, leaderCopy } from './leader-copy.ts';
import type { KubeClient, Leadership } from './port.ts';
import { createReflector } from './reflector.ts';
import { CACHED_IMAGES } from './resources.ts';
import { watchMetrics } from './watch-metrics.ts';

/** What a service's process offers: its log and its metrics. */
export interface KubeHost {
  readonly log: {
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
  readonly metrics: {
    counter(spec: MetricSpec): { inc(labels: Record<string, string | number>, by?: number): void };
    gauge(spec: MetricSpec): { set(value: number): void };
  };
}

/** The client of a service's configuration, with every call counted. */
export function openKube(settings: z.output<typeof kubeConfig>, { metrics }: Pick<KubeHost, 'metrics'>): KubeClient {
  const calls = metrics.counter(METRICS.kubeCalls);
  return createKubeClient({
    kubeconfig: settings.kubeconfig,
    onCall: ({ verb, resource, status }) => calls.inc({ verb, resource, status }),
  });
}

/**
 * This replica's name among the candidates for a Lease. In a container the process id is always the same: one that crashed and was started
 * again holds what it held, without waiting for itself.
 */
export function identityOf(settings: z.output<typeof leaseConfig>): string {
  return settings.identity ?? `${hostname()}-${process.pid}`;
}

/** The candidacy for a service's Lease, told by log and metric: who leads, and each round that failed. */
export function openLeadership(
  settings: z.output<typeof leaseConfig>,
  service: ServiceNeeding<'lease'>,
  client: KubeClient,
  { log, metrics }: KubeHost,
): Leadership {
  const gauge = metrics.gauge(METRICS.leader);
  const failures = metrics.counter(METRICS.loopFailures);
  const identity = identityOf(settings);
  const name = leaseName(service);
  const leadership = createLeadership({
    client,
    namespace: settings.namespace,
    name,
    identity,
    leaseMs: settings.duration,
    renewMs: settings.renew,
    onError(error) {
      failures.inc({ loop: 'lease', code: (error as { code?: string }).code ?? 'unexpected' });
      log.warn('lease not renewed', { lease: name, error });
    },
  });
  gauge.set(0);
  leadership.onChange((leader) => {
    gauge.set(leader ? 1 : 0);
    log.info(leader ? 'leading' : 'not leading', { lease: name, identity });
  });
  return leadership;
}

/** A local copy of every CachedImage while this replica leads, with its restarts counted. */
export function followCachedImages(
  client: KubeClient,
  leadership: Leadership,
  { log, metrics }: KubeHost,
): LeaderCopy<CachedImage> {
  const count = watchMetrics(metrics);
  return leaderCopy('images', leadership, () =>
    createReflector<CachedImage, CachedImage>({
      client,
      resource: CACHED_IMAGES,
      project: withoutManagers,
      observe(event) {
        count(event);
        if (event.kind === 'error') log.warn('watch failed', { ...event });
      },
    }),
  );
}

/** Without what the API server keeps for itself: most of an object's size. */
function withoutManagers(image: CachedImage): CachedImage {
  const { managedFields, ...metadata } = image.metadata as CachedImage['metadata'] & { managedFields?: unknown };
  void managedFields;
  return { ...image, metadata };
}
