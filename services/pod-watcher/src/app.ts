import { type Bus, openBus } from '@kuik/bus';
import { IMAGE_STATE, METRICS, SPARED_OWNERS } from '@kuik/contracts';
import {
  createEventRecorder,
  followConfigMap,
  identityOf,
  type KubeClient,
  openKube,
  openLeadership,
} from '@kuik/kube';
import {
  createRegistryAccess,
  readRegistrySettings,
  readTimeouts,
  type Reconfigurable,
  type RefreshTokenExchange,
  registryFiles,
  UPSTREAM_SECTIONS,
} from '@kuik/registry';
import { annotationKeys, Decider, rulesFile } from '@kuik/rules';
import { type App, composeParts, followSettings, HealthServer, type ServiceContext, followConfig } from '@kuik/runtime';
import { answering } from './answering.ts';
import { ClusterView } from './cluster-view.ts';
import { untouchedNamespaces, type PodWatcherConfig } from './config.ts';
import { connectRedis, type RedisParts } from './connect-redis.ts';
import { DescriptionPace } from './description-pace.ts';
import { ForeseeAccess } from './foresee-access.ts';
import { GoneNamespaces } from './gone-namespaces.ts';
import { HintBook } from './hint-book.ts';
import { ImageReconciler } from './image-reconciler.ts';
import { Intents } from './intents.ts';
import { Lead } from './lead.ts';
import { MissingContentBook } from './missing-content.ts';
import { MovedTags } from './moved-tags.ts';
import type { ProvingRegistry } from './prove-access.ts';
import { pullGrantParts } from './pull-grant-parts.ts';
import { reportControllerV1, reportGauges, reportMetrics } from './report-metrics.ts';
import { RepositoryReconciler } from './repository-reconciler.ts';
import { rereadHolders } from './reread-holders.ts';
import { ResourceWriter } from './resource-writer.ts';
import { ServedPulls } from './served-pulls.ts';
import { Settling } from './settling.ts';
import { SpareOwners } from './spare-owners.ts';
import { crowding } from './spared-owners.ts';
import { StateProjection } from './state-projection.ts';
import { tellingTransitions } from './tell-transitions.ts';
import { WantedPlatforms } from './wanted-platforms.ts';
import { Watches } from './watches.ts';
import { whyKeptRoute } from './why-kept-route.ts';

/** Adapters that a test brings; those that are missing are made from the configuration. */
export interface PodWatcherAdapters {
  readonly kube?: KubeClient;
  readonly bus?: Bus;
  readonly registry?: ProvingRegistry & RefreshTokenExchange & Partial<Reconfigurable> & { close(): Promise<void> };
  readonly redis?: RedisParts;
}

export interface PodWatcherApp extends App {
  /** 0 before `start`. */
  readonly healthPort: number;
  readonly leading: boolean;
}

/** Wires the service; starts nothing but the connection to NATS. Throws when a CA file cannot be read, and ConfigError for mistakes of the rules file. */
export function createApp(
  config: PodWatcherConfig,
  context: ServiceContext,
  adapters: PodWatcherAdapters = {},
): PodWatcherApp {
  const { log, metrics, clock } = context;
  const now = (): number => clock.now();
  const reports = reportMetrics(metrics);
  const identity = identityOf(config.lease);

  const kube = adapters.kube ?? openKube(config.kube, context);
  const bus = adapters.bus ?? openBus(config.nats, 'pod-watcher', context);
  const redis = adapters.redis ?? connectRedis(config.redis, log);
  const registry =
    adapters.registry ??
    createRegistryAccess({
      ...readRegistrySettings(config),
      upstream: readTimeouts(config.upstreamTimeouts),
      now,
    });

  const specs = { ...METRICS, reloads: METRICS.settingsReloads };
  const settings = followConfig({ context, config, applied: UPSTREAM_SECTIONS, files: registryFiles, specs });
  settings.onChange((changed) => registry.reconfigure?.(readRegistrySettings(changed)));
  const { proxyPrefixes, expiry, retry, reconcile } = config;
  const rules = followSettings({
    name: 'rules',
    file: config.rulesFile,
    schema: rulesFile,
    log,
    metrics,
    specs: { ...METRICS, reloads: METRICS.rulesReloads },
  });
  const deciderOptions = { ownNamespaces: untouchedNamespaces(config), proxyPrefixes };
  const decider = new Decider(rules.current, deciderOptions);
  const { completedHold: completedHoldMs, revisions: revisionsKept } = config.usage;
  const view = new ClusterView({ decider, completedHoldMs, revisionsKept }, now);
  const leadership = openLeadership(config.lease, 'pod-watcher', kube, context);
  const settling = new Settling(reconcile.settle, () => clock.monotonic());
  const events = createEventRecorder({
    client: kube,
    controller: 'kuik.enix.io/pod-watcher',
    instance: identity,
    // What is cached first is what pods wait for.
    holds: () => settling.rushMs() > 0,
    onError: (error) => log.warn('event not recorded', { error }),
  });
  const watches = new Watches({
    kube,
    view,
    resyncMs: reconcile.resync,
    looks: () => ({
      annotations: annotationKeys(rules.current),
      namespaces: rules.current.namespaceSelector !== undefined,
    }),
    kinds: config.usage.kinds,
    lookAgainMs: config.usage.kindsLookedFor,
    patienceMs: reconcile.patience,
    observe: (event) => {
      reports.reflector(event);
      if (event.kind === 'error') log.warn('watch failed', { ...event });
    },
    onResync: () => {
      answers.begin();
      lead.resync();
    },
  });

  rules.onChange((file) => {
    view.decideBy(new Decider(file, deciderOptions));
    void rereadHolders(view, () => rules.current !== file);
    void watches.refit();
  });

  const platforms = new WantedPlatforms({
    setting: config.platforms,
    kube,
    resyncMs: reconcile.resync,
    patienceMs: reconcile.patience,
    now: () => clock.monotonic(),
    observe: (event) => {
      reports.reflector(event);
      if (event.kind === 'error') log.warn('watch failed', { ...event });
    },
    onChange: (wanted) => {
      log.info('wanted platforms changed', { platforms: wanted ?? 'all' });
      lead.resync();
    },
  });
  const hints = new HintBook(() => clock.monotonic());
  const served = new ServedPulls({ images: view.images, events, times: redis.times, log });
  const missing = new MissingContentBook({ view, now, log });
  const moved = new MovedTags({ now: () => clock.monotonic(), log });
  const namespaces = new GoneNamespaces({ kube, view });
  const intents = new Intents(redis.producer);
  const writer = new ResourceWriter(kube, leadership, view);
  const projection = new StateProjection(
    bus.bucket(IMAGE_STATE, { create: true, onCreated: () => lead.refill() }),
    view,
  );
  const retryTimes = { firstMs: retry.first, maxMs: retry.max, unavailableMs: retry.unavailable };
  const lead = new Lead({
    leadership,
    watches,
    view,
    images: new ImageReconciler({
      view,
      knowledge: () => watches.holders(),
      writer,
      intents,
      hints: { expected: (image) => hints.expected(image), lastPulled: (image) => served.lastPulled(image) },
      missing,
      moved,
      checks: { mode: config.tags.checkOnPull, intervalMs: config.tags.checkInterval },
      platforms,
      namespaceGone: (namespace) => namespaces.has(namespace),
      clock,
      log,
      retry: retryTimes,
      unusedMs: expiry.unused,
      settling,
      pace: new DescriptionPace(reconcile.holders, () => clock.monotonic()),
      count: reports.step,
    }),
    repositories: new RepositoryReconciler({ view, writer, settling, clock, log, idleMs: expiry.repositoryIdle }),
    intents,
    projection,
    hints,
    namespaces,
    bus,
    onMoved: (hint) => moved.take(hint),
    onServed: async (windows) => {
      for (const image of [...(await served.take(windows)), ...missing.take(windows)]) lead.look(image);
    },
    spacingMs: reconcile.spacing,
    settleMs: reconcile.settle,
    concurrency: reconcile.concurrency,
    backoff: { firstMs: 200, maxMs: 30_000 },
    now,
    log,
    onStatesRepaired: reports.statesRepaired,
    onFailure: reports.loopFailed,
  });
  view.listen(tellingTransitions({ view, leadership, events, log }));

  const sparedOwners = followConfigMap({
    client: kube,
    map: { namespace: config.lease.namespace, name: SPARED_OWNERS },
    host: context,
  });
  const spareOwners = new SpareOwners({
    kube,
    leadership,
    view,
    complete: () => lead.complete(),
    spared: sparedOwners,
    events,
    namespace: config.lease.namespace,
    rules: { pods: config.fights.pods, withinMs: config.fights.within },
    rememberMs: config.fights.remember,
    backoff: { firstMs: 100, maxMs: 30_000 },
    now,
    log,
    count: reports.fight,
    onFailure: reports.loopFailed,
  });

  const { privateImages } = config;
  const { access, answers } = answering(config, {
    kube,
    bus,
    registry,
    view,
    hints,
    mayConfirm: () => lead.complete(),
    reports,
    now,
    log,
  });

  reportGauges(metrics, { view, watches, sparedOwners, now });
  reportControllerV1(metrics, leadership, context.version);
  bus.onStatus((status) => {
    // Whatever NATS lost while it was away, the resources still know.
    if (status === 'connected') lead.refill();
  });

  // Jobs that it lost while it was away are derived again, also those that nothing else will change.
  redis.producer.onReturn(() => lead.resync());

  const health = new HealthServer({
    ...config.http,
    metrics,
    notReady: () => parts.notReady(),
    warnings: () => {
      const crowded = crowding(sparedOwners.current()?.data ?? {}, config.lease.namespace);
      const ofOwners = crowded === undefined ? [] : [{ part: 'spared-owners', reason: crowded }];
      return [...watches.warnings(), ...platforms.warnings(), ...ofOwners];
    },
    routes: whyKeptRoute({ view, watches, hints, proxyPrefixes, now }),
  });
  const parts = composeParts(
    [
      health,
      {
        name: 'outside',
        close: async () => {
          await bus.close();
          await redis.close();
          await registry.close();
          await kube.close();
        },
      },
      { name: 'events', close: () => events.close() },
      settings,
      rules,
      {
        name: 'watches',
        start: () => Promise.resolve(watches.start()),
        close: () => watches.stop(),
      },
      platforms,
      answers,
      sparedOwners,
      { name: 'leadership', start: () => Promise.resolve(leadership.start()), close: () => leadership.stop() },
      lead,
      spareOwners,
      ...(privateImages.mode === 'off'
        ? []
        : [new ForeseeAccess({ leadership, view, access, now, log, onFailure: reports.loopFailed })]),
      ...pullGrantParts(config, { kube, bus, leadership, view, reports, now, log }),
    ],
    { log },
  );
  return {
    start: () => parts.start(),
    close: () => parts.close(),
    get healthPort() {
      return health.port;
    },
    get leading() {
      return lead.complete();
    },
  };
}
