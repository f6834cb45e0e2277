import { readFile } from 'node:fs/promises';
import { accountFor, createCredentialClient, openBus } from '@kuik/bus';
import { HOST_STATE, METRICS, UPSTREAM_TOLD } from '@kuik/contracts';
import { followCachedImages, openKube, openLeadership } from '@kuik/kube';
import { createPacer, createTimeStore } from '@kuik/queue';
import {
  createRegistryAccess,
  readRegistrySettings,
  readTimeouts,
  registryFiles,
  UPSTREAM_SECTIONS,
} from '@kuik/registry';
import {
  composeParts,
  HealthServer,
  loopPart,
  reportRounds,
  type App,
  type ServiceContext,
  followConfig,
} from '@kuik/runtime';
import { checkUpstream } from './check-upstream.ts';
import { CheckTimes } from './check-times.ts';
import type { MonitorConfig } from './config.ts';
import { HostBudgets } from './host-budgets.ts';
import { policyOf } from './host-policy.ts';
import { Monitor } from './monitor-loop.ts';
import { recordUpstream } from './record-upstream.ts';
import { TellHosts } from './tell-hosts.ts';

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
    observe: ({ host, upstream }) => {
      if (upstream?.rateLimit !== undefined)
        void pacer.told(
          { host, account: upstream.account },
          { identity: upstream.identity, ...upstream.rateLimit },
          { background: true },
        );
    },
  });
  const specs = { ...METRICS, reloads: METRICS.settingsReloads };
  const settings = followConfig({ context, config, applied: UPSTREAM_SECTIONS, files: registryFiles, specs });
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
  const { hostsAtOnce, idle: idleMs } = config.monitor;
  const policy = (host: string) => policyOf(config, host);
  const monitor = new Monitor({
    images,
    leadership,
    times: new CheckTimes(store),
    budgets: new HostBudgets(store, policy),
    pacer,
    payerOf: async ({ host, path }) => ({
      host,
      account: credentials === undefined ? undefined : await accountFor(credentials, host, path),
    }),
    check: (reference, ask, signal) =>
      checkUpstream(reference, ask, { registry, credentials, ...policy(reference.host) }, signal),
    record: (image, stanza, signal) => recordUpstream(kube, image, stanza, signal),
    policyOf: policy,
    floor: config.pace.floor.monitoring,
    hostsAtOnce,
    idleMs,
    clock,
    log,
    metrics,
  });
  const hosts = new TellHosts({
    pacer,
    bucket: bus.bucket(HOST_STATE, { create: true, onCreated: () => hosts.forget() }),
    leadership,
    clock,
    metrics,
  });
  bus.onStatus((status) => {
    if (status === 'connected') hosts.forget();
  });
  bus.subscribe(UPSTREAM_TOLD, (told) => hosts.heard(told));
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
        name: 'hosts',
        everyMs: config.monitor.tellHosts,
        tick: () => hosts.round(),
        onRound: reportRounds(log, metrics, METRICS),
      }),
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
