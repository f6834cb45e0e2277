import { announceState, openBus, type Bus } from '@kuik/bus';
import { IMAGE_STATE, METRICS, type CachedImage } from '@kuik/contracts';
import {
  createEventRecorder,
  followCachedImages,
  identityOf,
  openKube,
  openLeadership,
  type KubeClient,
} from '@kuik/kube';
import { createRegistryAccess, readCacheEndpoint, type RegistryAccess } from '@kuik/registry';
import { composeParts, HealthServer, loopPart, reportRounds, type App, type ServiceContext } from '@kuik/runtime';
import { Collection } from './collection-loop.ts';
import { Condemnation } from './condemnation.ts';
import type { GcConfig } from './config.ts';
import { confirmHolders } from './confirm-holders.ts';
import { Presence, reportMissing } from './presence-loop.ts';
import { Removal } from './removal.ts';

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
  const { grace: graceMs, confirmTimeout: confirmTimeoutMs, check: checkMs } = config.removal;
  const identity = identityOf(config.lease);
  const bus = adapters.bus ?? openBus(config.nats, 'gc', context);
  const kube = adapters.kube ?? openKube(config.kube, context);
  const registry = adapters.registry ?? createRegistryAccess({ registries: {} });
  const endpoint = readCacheEndpoint(config.cache, ['pull', 'push', 'delete']);

  const leadership = openLeadership(config.lease, 'gc', kube, context);
  const images = followCachedImages(kube, leadership, context);
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
      // What is missing is found within the first of these, and copied again within the second.
      unreadMs: 2 * config.presence.every,
    }),
    events,
    confirm: (asked) => confirmHolders(bus, asked, confirmTimeoutMs),
    clock,
    log,
    metrics,
    graceMs,
  });
  const presence = new Presence({
    images,
    leadership,
    cache: (repository) => registry.cache(endpoint, repository),
    publish: reportMissing(bus),
    clock,
    log,
    metrics,
    everyMs: config.presence.every,
    roundMs: config.presence.check,
  });
  const health = new HealthServer({ ...config.http, metrics, notReady: () => parts.notReady() });
  const parts = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'registry', close: () => registry.close() },
      { name: 'kube', close: () => kube.close() },
      { name: 'events', close: () => events.close() },
      images,
      { name: 'lease', start: () => Promise.resolve(leadership.start()), close: () => leadership.stop() },
      loopPart({
        name: 'collection',
        everyMs: checkMs,
        deadlineMs: 300_000,
        backoff: { firstMs: Math.max(checkMs, 1_000), maxMs: 60_000 },
        tick: (signal) => collection.round(signal),
        onRound: reportRounds(log, metrics, METRICS),
      }),
      loopPart({
        name: 'presence',
        everyMs: config.presence.check,
        deadlineMs: 300_000,
        backoff: { firstMs: Math.max(config.presence.check, 1_000), maxMs: 600_000 },
        tick: (signal) => presence.round(signal),
        onRound: reportRounds(log, metrics, METRICS),
      }),
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
