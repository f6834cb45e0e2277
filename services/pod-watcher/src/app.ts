import { type Bus, openBus } from '@kuik/bus';
import { ACCESS_RECORDS, type CachedImage, IMAGE_STATE, METRICS, SPARED_OWNERS } from '@kuik/contracts';
import {
  CACHED_IMAGES,
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
import { annotationKeys, Decider, REASONS, rulesFile } from '@kuik/rules';
import { type App, composeParts, followSettings, HealthServer, type ServiceContext, followConfig } from '@kuik/runtime';
import { AccessBroker } from './access-broker.ts';
import { AccessRecords } from './access-records.ts';
import { AccessSources } from './access-sources.ts';
import { Answers } from './answers.ts';
import { CredentialChooser } from './choose-credential.ts';
import { ClusterView } from './cluster-view.ts';
import { accountsOf, untouchedNamespaces, type PodWatcherConfig } from './config.ts';
import { connectRedis, type RedisParts } from './connect-redis.ts';
import { CredentialBroker } from './credential-broker.ts';
import { DescriptionPace } from './description-pace.ts';
import { ForeseeAccess } from './foresee-access.ts';
import { GoneNamespaces } from './gone-namespaces.ts';
import { HintBook } from './hint-book.ts';
import { holderTitle } from './holder-view.ts';
import { ImageReconciler } from './image-reconciler.ts';
import { Intents } from './intents.ts';
import { Lead } from './lead.ts';
import { MissingContentBook } from './missing-content.ts';
import { MovedTags } from './moved-tags.ts';
import type { ProvingRegistry } from './prove-access.ts';
import { pullGrantParts } from './pull-grant-parts.ts';
import { configuredProviders } from './providers/configured-providers.ts';
import { ProvidedLogins } from './providers/provided-logins.ts';
import { reportControllerV1, reportGauges, reportMetrics } from './report-metrics.ts';
import { RepositoryReconciler } from './repository-reconciler.ts';
import { rereadHolders } from './reread-holders.ts';
import { ResourceWriter } from './resource-writer.ts';
import { SecretReader } from './secret-reader.ts';
import { ServedPulls } from './served-pulls.ts';
import { Settling } from './settling.ts';
import { SpareOwners } from './spare-owners.ts';
import { crowding } from './spared-owners.ts';
import { StateProjection } from './state-projection.ts';
import { repositoryTransitions, transitionsOf } from './transitions.ts';
import { TokenReviews } from './token-reviews.ts';
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

/** Shorter than what a node waits for an answer. */
const UPSTREAM_PATIENCE_MS = 2_000;
const COPY_WAIT_MS = 1_000;

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
  const providers = new ProvidedLogins({
    providers: configuredProviders(config.credentialProviders, { now, exchange: registry }),
    patienceMs: config.credentialProviders.patience,
    count: reports.provider,
  });
  const { proxyPrefixes, expiry, retry, reconcile, broker: brokerConfig } = config;
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
  view.listen({
    holderChanged: (holder) => {
      const skipped = view.usage.imagesOf(holder)?.skipped ?? [];
      const told = skipped.filter(({ reason }) => reason !== REASONS.namespaceIgnored);
      if (told.length > 0) log.debug('images are not kept', { holder: holderTitle(holder), images: told });
    },
    imageSeen: (before, image) => {
      if (!leadership.isLeader()) return;
      const found = transitionsOf(before, image, { retry: retryTimes, now: now() });
      for (const { type, reason, message } of found) events.event(image, type, reason, message);
    },
    repositorySeen: (before, repository) => {
      if (!leadership.isLeader()) return;
      for (const { type, reason, message } of repositoryTransitions(before, repository))
        events.event(repository, type, reason, message);
    },
  });

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

  const reviews = new TokenReviews({
    kube,
    view,
    rules: { audience: brokerConfig.audience, ...accountsOf(config) },
    reviewTtlMs: brokerConfig.reviewTtl,
    now,
  });
  const secrets = new SecretReader(kube, brokerConfig.secretTtl, now);
  const { privateImages } = config;
  const access = new AccessBroker({
    reviews,
    view,
    sources: new AccessSources({ view, secrets, providers }),
    records: new AccessRecords(bus.bucket(ACCESS_RECORDS, { create: true }), log),
    registry,
    rules: {
      publicForMs: privateImages.publicFor,
      verdictForMs: privateImages.verdictFor,
      graceMs: privateImages.grace,
      unknownWhenDown: privateImages.unknownWhenDown,
    },
    granted: privateImages.namespaces,
    podWaitMs: brokerConfig.podWait,
    patienceMs: UPSTREAM_PATIENCE_MS,
    copyWaitMs: COPY_WAIT_MS,
    now,
    log,
    count: reports.access,
  });
  const answers = new Answers({
    bus,
    view,
    hints,
    access,
    broker: new CredentialBroker({
      reviews,
      view,
      secrets,
      chooser: new CredentialChooser({ exchange: registry, now, headerTtlMs: brokerConfig.headerTtl, providers }),
      podWaitMs: brokerConfig.podWait,
      fallbackSecrets: brokerConfig.fallbackSecrets,
      now,
      log,
      count: reports.broker,
    }),
    mayConfirm: () => lead.complete(),
    readImage: (name) => kube.get<CachedImage>(CACHED_IMAGES, { name }),
  });

  reportGauges(metrics, { view, watches, sparedOwners, now });
  reportControllerV1(metrics, leadership, context.version);
  bus.onStatus((status) => {
    // Whatever NATS lost while it was away, the resources still know.
    if (status === 'connected') lead.refill();
  });

  const health = new HealthServer({
    ...config.http,
    metrics,
    notReady: () => parts.notReady(),
    warnings: () => {
      const crowded = crowding(sparedOwners.current()?.data ?? {}, config.lease.namespace);
      const ofOwners = crowded === undefined ? [] : [{ part: 'spared-owners', reason: crowded }];
      return [...watches.warnings(), ...platforms.warnings(), ...ofOwners];
    },
    routes: whyKeptRoute({ view, watches, hints, now }),
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
