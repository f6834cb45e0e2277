import { readFile } from 'node:fs/promises';
import { accountFor, announceState, createCredentialClient, openBus, type Bus } from '@kuik/bus';
import { COPY_QUEUE, IMAGE_STATE, MANIFEST_READ, METRICS } from '@kuik/contracts';
import { openKube, type KubeClient } from '@kuik/kube';
import {
  createBlobTurns,
  createPacer,
  createReadOnce,
  createTransferLeases,
  createWorker,
  type TurnHolders,
  type Worker,
} from '@kuik/queue';
import {
  answerBoundMs,
  createRegistryAccess,
  readCacheEndpoint,
  readRegistrySettings,
  readTimeouts,
  registryFiles,
  UPSTREAM_SECTIONS,
  toldBreakers,
} from '@kuik/registry';
import { composeParts, HealthServer, type App, type Part, type ServiceContext, followConfig } from '@kuik/runtime';
import { cachedImages } from './cached-images.ts';
import type { CopierConfig } from './config.ts';
import { workOn, type CopyParts } from './copy-loop.ts';
import { CountedManifests } from './counted/counted-manifests.ts';
import { brokeredCredentials, noCredentials } from './credentials.ts';
import { registryCopies } from './registry-copies.ts';
import { reportCopies } from './report-copies.ts';
import { openTransfers } from './transfers/open-transfers.ts';
import { tellOwner } from './transfers/tell-owner.ts';
import { UnreadImages } from './unread-images.ts';

/** The service, with the port of its health server (0 before `start`). */
export interface CopierApp extends App {
  readonly healthPort: number;
  /** Where others read what this copier reads from upstream; known after `start`. */
  readonly transfersUrl: string;
}

/** Adapters that a test brings; those that are missing are made from the configuration. */
export interface CopierAdapters {
  readonly bus?: Bus;
  readonly kube?: KubeClient;
}

/** Wires the worker; starts nothing but the connection to NATS. Throws when a key or CA file cannot be read. */
export function createApp(config: CopierConfig, context: ServiceContext, adapters: CopierAdapters = {}): CopierApp {
  const { log, metrics, clock } = context;
  const bus = adapters.bus ?? openBus(config.nats, 'image-copier', context);
  const kube = adapters.kube ?? openKube(config.kube, context);
  const registry = createRegistryAccess({
    ...readRegistrySettings(config),
    upstream: readTimeouts(config.upstreamTimeouts),
    breakers: toldBreakers(config.upstreamBreaker, {
      log,
      clock,
      spared: metrics.counter(METRICS.copyUpstreamSpared),
      open: metrics.gauge(METRICS.copySparedUpstreams),
      onCollect: (collect) => metrics.onCollect(collect),
    }),
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
  let { registries } = readRegistrySettings(config);
  settings.onChange((changed) => {
    const upstreams = readRegistrySettings(changed);
    registry.reconfigure(upstreams);
    ({ registries } = upstreams);
  });
  const { tokenFile, timeout: timeoutMs } = config.broker;
  const broker =
    tokenFile === undefined
      ? undefined
      : createCredentialClient(bus, { readToken: () => readFile(tokenFile, 'utf8'), timeoutMs });
  const credentials = broker === undefined ? noCredentials : brokeredCredentials(broker);
  const pacer = createPacer(config.redis, { pace: config.pace, hosts: config.pace.hosts, log });
  const states = bus.bucket(IMAGE_STATE);
  const { concurrency, blobsPerImage, lock: lockMs, stallCheck: stallCheckMs, drain: drainMs } = config.copy;
  const { turnWait: waitMs, remember: rememberMs, progressAfter, progressEvery } = config.copy;
  const holders: TurnHolders = {
    name: () => transfers.holders.name(),
    alive: (name) => transfers.holders.alive(name),
  };
  const turns = createBlobTurns(config.redis, { lockMs, waitMs, rememberMs, holders, log });
  const cache = readCacheEndpoint(config.cache, ['pull', 'push']);
  const leases = createTransferLeases(config.redis, { lockMs, log });
  const transfers = openTransfers({
    config,
    context,
    registry,
    cache,
    credentials,
    turns,
    leases,
    answerMs: (host) => answerBoundMs(host, registries, readTimeouts(config.upstreamTimeouts)),
  });
  const once = createReadOnce(config.redis, { log });
  const counted = new CountedManifests({
    registry,
    once,
    pacer,
    metrics,
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
  });
  const copies = registryCopies({
    shared: (client, payer) => counted.shared(client, payer),
    registry,
    cache,
    credentials,
    turns: transfers.turns,
    share: transfers.share,
    sessions: transfers.sessions,
    concurrency: blobsPerImage,
    foreignLayers: config.copy.foreignLayers,
    referrers: config.copy.referrers,
    now: () => clock.now(),
  });
  const parts: CopyParts = {
    ...cachedImages(kube),
    ...copies,
    account: ({ host, path }, origin) =>
      broker === undefined ? Promise.resolve(undefined) : accountFor(broker, host, path, origin),
    announce: (image) =>
      announceState(states, image).catch((error: unknown) =>
        log.warn('state not announced', { object: image.metadata.name, error }),
      ),
    pacer,
    unread: new UnreadImages(),
    backgroundFloor: config.pace.floor.copies,
    progressAfterMs: progressAfter,
    progressEveryMs: progressEvery,
    clock,
    log,
    count: reportCopies(metrics),
  };

  let worker: Worker | undefined;
  metrics.onCollect(() => metrics.gauge(METRICS.copyActive).set(worker?.active() ?? 0));
  bus.respond(MANIFEST_READ, (request) => counted.answer(request), { queue: 'image-copier' });
  const work: Part = {
    name: 'worker',
    start: () => {
      worker = createWorker(COPY_QUEUE, config.redis, (job) => workOn(job, parts), {
        concurrency,
        lockMs,
        stallCheckMs,
        log,
      });
      return Promise.resolve();
    },
    close: async () => worker?.close(drainMs),
    notReady: () => (worker?.ready() === true ? undefined : 'Redis is away'),
  };
  const health = new HealthServer({ ...config.http, metrics, notReady: () => app.notReady() });
  const app = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'kube', close: () => kube.close() },
      { name: 'registry', close: () => registry.close() },
      { name: 'pacer', close: () => pacer.close() },
      { name: 'turns', close: () => turns.close() },
      { name: 'leases', close: () => leases.close() },
      transfers.part,
      settings,
      { name: 'once', close: () => once.close() },
      work,
      tellOwner(bus, transfers.url, transfers.instance),
    ],
    { log, closeMs: drainMs + 5_000 },
  );
  return {
    start: () => app.start(),
    close: () => app.close(),
    get healthPort() {
      return health.port;
    },
    get transfersUrl() {
      return transfers.url();
    },
  };
}
