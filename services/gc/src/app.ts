import { hostname } from 'node:os';
import { announceState, connectBus, type Bus } from '@kuik/bus';
import { IMAGE_STATE, LEASES, METRICS, type CachedImage } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  createEventRecorder,
  createKubeClient,
  createLeadership,
  createReflector,
  type KubeClient,
  type Leadership,
  type Reflector,
} from '@kuik/kube';
import { createRegistryAccess, readCacheEndpoint, type RegistryAccess } from '@kuik/registry';
import { composeParts, HealthServer, loop, type App, type Part, type ServiceContext } from '@kuik/runtime';

import { Collection } from './collection-loop.ts';
import { Condemnation } from './condemnation.ts';
import type { GcConfig } from './config.ts';
import { confirmHolders } from './confirm-holders.ts';
import { Removal } from './removal.ts';
import { reportRounds } from './report-round.ts';

/** Adapters that a test brings; those that are missing are made from the configuration. */
export interface GcAdapters {
  readonly bus?: Bus;
  readonly kube?: KubeClient;
  readonly registry?: RegistryAccess;
}

export interface GcApp extends App {
  readonly healthPort: number;
  isLeader(): boolean;
}

/** Wires gc; starts nothing. */
export function createApp(config: GcConfig, context: ServiceContext, adapters: GcAdapters = {}): GcApp {
  const { log, metrics, clock } = context;
  const { graceMs, confirmTimeoutMs, checkMs } = config.removal;
  const identity = config.lease.identity ?? `${hostname()}-${process.pid}`;
  const bus = adapters.bus ?? busOf(config, context);
  const kube = adapters.kube ?? kubeOf(config, context);
  const registry = adapters.registry ?? createRegistryAccess({ registries: {} });
  const endpoint = readCacheEndpoint(config.cache, ['pull', 'delete']);

  const leadership = leadershipOf(config, context, kube, identity);
  const images = imagesOf(context, kube);
  const events = createEventRecorder({
    client: kube,
    controller: 'kuik.enix.io/gc',
    instance: identity,
    onError: (error) => log.warn('event not written', { error }),
  });
  const states = bus.bucket(IMAGE_STATE);
  const kept = metrics.counter(METRICS.gcKept);
  const shared = {
    kube,
    announce: (image: CachedImage) => announceState(states, image),
    events,
    log,
    assertLeader: () => leadership.assertLeader(),
    graceMs,
  };
  const collection = new Collection({
    images,
    kube,
    leadership,
    condemnation: new Condemnation({ ...shared, onKept: (reason) => kept.inc({ reason }) }),
    removal: new Removal({
      ...shared,
      cache: (repository) => registry.cache(endpoint, repository),
      now: () => clock.now(),
    }),
    confirm: (asked) => confirmHolders(bus, asked, confirmTimeoutMs),
    clock,
    log,
    metrics,
    graceMs,
  });
  const health = new HealthServer({ ...config.http, metrics, notReady: () => parts.notReady() });
  const parts = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'registry', close: () => registry.close() },
      { name: 'kube', close: () => kube.close() },
      { name: 'events', close: () => events.close() },
      reflectorPart(images),
      { name: 'lease', start: () => Promise.resolve(leadership.start()), close: () => leadership.stop() },
      roundsPart(collection, checkMs, reportRounds(log, metrics)),
    ],
    { log },
  );
  return {
    start: () => parts.start(),
    close: () => parts.close(),
    isLeader: () => leadership.isLeader(),
    get healthPort() {
      return health.port;
    },
  };
}

function busOf({ nats }: GcConfig, { log, metrics }: ServiceContext): Bus {
  const messages = metrics.counter(METRICS.busMessages);
  return connectBus({
    url: nats.url,
    service: 'gc',
    ...(nats.nkeyFile === undefined ? {} : { seedFile: nats.nkeyFile }),
    log,
    count: (subject, fate) => messages.inc({ subject, fate }),
  });
}

function kubeOf({ kube }: GcConfig, { metrics }: ServiceContext): KubeClient {
  const calls = metrics.counter(METRICS.kubeCalls);
  return createKubeClient({
    kubeconfig: kube.kubeconfig,
    onCall: ({ verb, resource, status }) => calls.inc({ verb, resource, status }),
  });
}

function leadershipOf(
  { lease }: GcConfig,
  { log, metrics }: ServiceContext,
  client: KubeClient,
  identity: string,
): Leadership {
  const gauge = metrics.gauge(METRICS.leader);
  const leadership = createLeadership({
    client,
    namespace: lease.namespace,
    name: LEASES.gc,
    identity,
    leaseMs: lease.durationMs,
    renewMs: lease.renewMs,
    onError: (error) => log.warn('lease not renewed', { error }),
  });
  gauge.set(0);
  leadership.onChange((leader) => {
    gauge.set(leader ? 1 : 0);
    log.info(leader ? 'leading' : 'not leading', { lease: LEASES.gc, identity });
  });
  return leadership;
}

function imagesOf({ log, metrics }: ServiceContext, client: KubeClient): Reflector<CachedImage> {
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

function reflectorPart(images: Reflector<CachedImage>): Part {
  return {
    name: 'images',
    start: () => Promise.resolve(images.start()),
    close: () => images.stop(),
    notReady: () => (images.synced() ? undefined : 'the list of images is not complete'),
  };
}

function roundsPart(collection: Collection, everyMs: number, onRound: ReturnType<typeof reportRounds>): Part {
  const ending = new AbortController();
  let running: Promise<void> | undefined;
  return {
    name: 'rounds',
    start() {
      running = loop({
        name: 'collection',
        signal: ending.signal,
        everyMs,
        deadlineMs: 300_000,
        backoff: { firstMs: Math.max(everyMs, 1_000), maxMs: 60_000 },
        tick: (signal) => collection.round(signal),
        onRound,
      });
      return Promise.resolve();
    },
    async close() {
      ending.abort();
      await running;
    },
  };
}
