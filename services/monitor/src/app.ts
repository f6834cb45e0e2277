import { readFile } from 'node:fs/promises';
import { createCredentialClient, openBus } from '@kuik/bus';
import { METRICS } from '@kuik/contracts';
import { followCachedImages, openKube, openLeadership } from '@kuik/kube';
import { createPacer, createTimeStore } from '@kuik/queue';
import { createRegistryAccess, readRegistrySettings, readTimeouts, UPSTREAM_SECTIONS } from '@kuik/registry';
import {
  composeParts,
  HealthServer,
  loopPart,
  reportRounds,
  type App,
  type ServiceContext,
  followConfig,
} from '@kuik/runtime';
import { watchedReference } from './candidates.ts';
import { checkUpstream } from './check-upstream.ts';
import { CheckTimes } from './check-times.ts';
import { budgetOf, type MonitorConfig } from './config.ts';
import { HostBudgets } from './host-budgets.ts';
import { Monitor } from './monitor-loop.ts';
import { recordUpstream } from './record-upstream.ts';

export interface MonitorApp extends App {
  readonly healthPort: number;
  isLeader(): boolean;
}

/** Wires monitor; starts nothing but the connections to NATS and Redis. Throws when a CA file cannot be read. */
export function createApp(config: MonitorConfig, context: ServiceContext): MonitorApp {
  const { log, metrics, clock } = context;
  const bus = openBus(config.nats, 'monitor', context);
  const kube = openKube(config.kube, context);
  const registry = createRegistryAccess({
    ...readRegistrySettings(config),
    upstream: readTimeouts(config.upstreamTimeouts),
    now: () => clock.now(),
  });
  const specs = { ...METRICS, reloads: METRICS.settingsReloads };
  const settings = followConfig({ context, config, applied: UPSTREAM_SECTIONS, specs });
  settings.onChange((changed) => registry.reconfigure(readRegistrySettings(changed)));
  const pacer = createPacer(config.redis, { pace: config.pace, hosts: config.pace.hosts, log });
  const store = createTimeStore(config.redis, { log });
  const leadership = openLeadership(config.lease, 'monitor', kube, context);
  const images = followCachedImages(kube, leadership, context);
  const { tokenFile, timeout: brokerMs } = config.broker;
  const credentials =
    tokenFile === undefined
      ? undefined
      : createCredentialClient(bus, { readToken: () => readFile(tokenFile, 'utf8'), timeoutMs: brokerMs });
  const { timeout: timeoutMs, interval: intervalMs, hostsAtOnce, idle: idleMs } = config.monitor;
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
      settings,
      images,
      { name: 'lease', start: () => Promise.resolve(leadership.start()), close: () => leadership.stop() },
      loopPart({
        name: 'checks',
        everyMs: idleMs,
        tick: (signal, ending) => monitor.round(signal, ending),
        settled: () => monitor.settled(),
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
