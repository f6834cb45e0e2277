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
import type { KubeClient, Leadership, Reflector } from './port.ts';
import { createReflector } from './reflector.ts';
import { CACHED_IMAGES } from './resources.ts';

/** What a service's process offers: its log and its metrics. */
export interface KubeHost {
  readonly log: {
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
  readonly metrics: {
    counter(spec: MetricSpec): { inc(labels: Record<string, string | number>): void };
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

/** This replica's name among the candidates for a Lease. */
export function identityOf(settings: z.output<typeof leaseConfig>): string {
  return settings.identity ?? `${hostname()}-${process.pid}`;
}

/** The candidacy for a service's Lease, told by log and metric. */
export function openLeadership(
  settings: z.output<typeof leaseConfig>,
  service: ServiceNeeding<'lease'>,
  client: KubeClient,
  { log, metrics }: KubeHost,
): Leadership {
  const gauge = metrics.gauge(METRICS.leader);
  const identity = identityOf(settings);
  const name = leaseName(service);
  const leadership = createLeadership({
    client,
    namespace: settings.namespace,
    name,
    identity,
    leaseMs: settings.durationMs,
    renewMs: settings.renewMs,
    onError: (error) => log.warn('lease not renewed', { error }),
  });
  gauge.set(0);
  leadership.onChange((leader) => {
    gauge.set(leader ? 1 : 0);
    log.info(leader ? 'leading' : 'not leading', { lease: name, identity });
  });
  return leadership;
}

/** A reflector's life, in the shape of a service's parts. */
export function reflectorPart(name: string, reflector: Reflector<unknown>) {
  return {
    name,
    start: () => Promise.resolve(reflector.start()),
    close: () => reflector.stop(),
    notReady: () => (reflector.synced() ? undefined : `the list of ${name} is not complete`),
  };
}

/** A local copy of every CachedImage, whole, with its restarts counted. */
export function followCachedImages(client: KubeClient, { log, metrics }: KubeHost): Reflector<CachedImage> {
  const restarts = metrics.counter(METRICS.watchRestarts);
  return createReflector<CachedImage, CachedImage>({
    client,
    resource: CACHED_IMAGES,
    project: (image) => image,
    observe(event) {
      if (event.kind === 'list' || event.kind === 'watch') restarts.inc({ resource: event.resource, why: event.why });
      if (event.kind === 'error') log.warn('watch failed', { ...event });
    },
  });
}
