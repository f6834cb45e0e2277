import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { connectBus, createCredentialClient, type Bus } from '@kuik/bus';
import { LEASES, METRICS, type CachedImage } from '@kuik/contracts';
import {
  CACHED_IMAGES,
  createKubeClient,
  createLeadership,
  createReflector,
  type KubeClient,
  type Leadership,
  type Reflector,
} from '@kuik/kube';
import { createPacer, createTimeStore } from '@kuik/queue';
import { createRegistryAccess, readRegistries } from '@kuik/registry';
import { composeParts, HealthServer, loop, type App, type Part, type ServiceContext } from '@kuik/runtime';
import { watchedReference } from './candidates.ts';
import { checkUpstream } from './check-upstream.ts';
import { CheckTimes } from './check-times.ts';
import { budgetOf, type MonitorConfig } from './config.ts';
import { HostBudgets } from './host-budgets.ts';
import { Monitor } from './monitor-loop.ts';
import { recordUpstream } from './record-upstream.ts';
import { reportRounds } from './report-round.ts';

export interface MonitorApp extends App {
  readonly healthPort: number;
  isLeader(): boolean;
}

/** Wires monitor; starts nothing but the connections to NATS and Redis. Throws when a CA file cannot be read. */
export function createApp(config: MonitorConfig, context: ServiceContext): MonitorApp {
  const { log, metrics, clock } = context;
  const bus = busOf(config, context);
  const kube = kubeOf(config, context);
  const registry = createRegistryAccess({
    registries: readRegistries(config.registries),
    upstream: { headersMs: config.monitor.timeoutMs },
    now: () => clock.now(),
  });
  const pacer = createPacer(config.redis, { log });
  const store = createTimeStore(config.redis, { log });
  const leadership = leadershipOf(config, context, kube);
  const images = imagesOf(context, kube);
  const { tokenFile, timeoutMs: brokerMs } = config.broker;
  const credentials =
    tokenFile === undefined
      ? undefined
      : createCredentialClient(bus, { readToken: () => readFile(tokenFile, 'utf8'), timeoutMs: brokerMs });
  const { timeoutMs, intervalMs, hostsAtOnce, idleMs } = config.monitor;
  const budget = (host: string) => budgetOf(config, host);
  const monitor = new Monitor({
    images,
    leadership,
    times: new CheckTimes(store),
    budgets: new HostBudgets(store, budget),
    pacer,
    check: (image, signal) => checkUpstream(watchedReference(image)!, { registry, credentials, timeoutMs }, signal),
    record: (image, stanza, signal) => recordUpstream(kube, image, stanza, signal),
    budgetOf: budget,
    intervalMs,
    hostsAtOnce,
    idleMs,
    clock,
    log,
    metrics,
  });
  const health = new HealthServer({ ...config.http, metrics, notReady: () => parts.notReady() });
  const parts = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'kube', close: () => kube.close() },
      { name: 'registry', close: () => registry.close() },
      { name: 'times', close: () => store.close() },
      { name: 'pacer', close: () => pacer.close() },
      reflectorPart(images),
      { name: 'lease', start: () => Promise.resolve(leadership.start()), close: () => leadership.stop() },
      roundsPart(monitor, idleMs, reportRounds(log, metrics)),
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

function busOf({ nats }: MonitorConfig, { log, metrics }: ServiceContext): Bus {
  const messages = metrics.counter(METRICS.busMessages);
  return connectBus({
    url: nats.url,
    service: 'monitor',
    ...(nats.nkeyFile === undefined ? {} : { seedFile: nats.nkeyFile }),
    log,
    count: (subject, fate) => messages.inc({ subject, fate }),
  });
}

function kubeOf({ kube }: MonitorConfig, { metrics }: ServiceContext): KubeClient {
  const calls = metrics.counter(METRICS.kubeCalls);
  return createKubeClient({
    kubeconfig: kube.kubeconfig,
    onCall: ({ verb, resource, status }) => calls.inc({ verb, resource, status }),
  });
}

function leadershipOf({ lease }: MonitorConfig, { log, metrics }: ServiceContext, client: KubeClient): Leadership {
  const identity = lease.identity ?? `${hostname()}-${process.pid}`;
  const gauge = metrics.gauge(METRICS.leader);
  const leadership = createLeadership({
    client,
    namespace: lease.namespace,
    name: LEASES.monitor,
    identity,
    leaseMs: lease.durationMs,
    renewMs: lease.renewMs,
    onError: (error) => log.warn('lease not renewed', { error }),
  });
  gauge.set(0);
  leadership.onChange((leader) => {
    gauge.set(leader ? 1 : 0);
    log.info(leader ? 'leading' : 'not leading', { lease: LEASES.monitor, identity });
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

function roundsPart(monitor: Monitor, everyMs: number, onRound: ReturnType<typeof reportRounds>): Part {
  const ending = new AbortController();
  let running: Promise<void> | undefined;
  return {
    name: 'rounds',
    start() {
      running = loop({
        name: 'checks',
        signal: ending.signal,
        everyMs,
        tick: (signal) => monitor.round(signal, ending.signal),
        onRound,
      });
      return Promise.resolve();
    },
    async close() {
      ending.abort();
      await running;
      await monitor.settled();
    },
  };
}
