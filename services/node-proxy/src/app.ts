import { readFile } from 'node:fs/promises';
import { createCredentialClient, openBus, type Bus } from '@kuik/bus';
import {
  ACCESS_RECORDS,
  buildInfoV1,
  FIXED,
  grantCheckingKey,
  METRICS,
  METRICS_V1,
  TAG_MOVED,
  TRANSFER_OWNERS,
  UPSTREAM_TOLD,
} from '@kuik/contracts';
import {
  answerBoundMs,
  Breaker,
  createRegistryAccess,
  readCacheEndpoint,
  readRegistrySettings,
  readSettingFile,
  readTimeouts,
  RegistryError,
  registryFiles,
  UPSTREAM_SECTIONS,
  toldBreakers,
  type CacheEndpoint,
  type Reconfigurable,
  type RegistryAccess,
} from '@kuik/registry';
import {
  composeParts,
  HealthServer,
  loopPart,
  reportRounds,
  type App,
  type Part,
  type ServiceContext,
  followConfig,
} from '@kuik/runtime';
import { AccessVerdicts } from './access-verdicts.ts';
import { BlobTrust } from './blob-trust.ts';
import { CacheAccess } from './cache-access.ts';
import { CacheMisses } from './cache-misses.ts';
import { CachedManifests } from './cached-manifests.ts';
import type { Config } from './config.ts';
import { FindManifest } from './find-manifest.ts';
import { KnownHosts } from './known-hosts.ts';
import type { ListenAddress } from './listen.ts';
import { processesOver } from './owner-processes.ts';
import { Owners } from './owners.ts';
import { PullGuard } from './pull-guard.ts';
import { PullLog } from './pull-log.ts';
import { PullServer } from './pull-server.ts';
import { QuickPulls } from './quick-pulls.ts';
import { BlobRelay } from './relay-blob.ts';
import { RecordedAccess } from './recorded-access.ts';
import { reportServed } from './report-served.ts';
import { RequestIds } from './request-ids.ts';
import { SharedReads } from './shared-reads.ts';
import { ServedTally } from './served-report.ts';
import { ServePull } from './serve-pull.ts';
import { ShownGrants } from './shown-grant.ts';
import { spareUpstream } from './spare-upstream.ts';
import { TagChecks } from './tag-checks.ts';
import { NoTagKnowledge, TagKnowledge } from './tag-knowledge.ts';
import { tellWrong } from './tell-wrong.ts';
import { ToldUpstream } from './told-upstream.ts';
import { UpstreamAccess } from './upstream-access.ts';

/** What tests may put in place of a real part. */
export interface AppDeps {
  readonly bus?: Bus;
  readonly registry?: RegistryAccess & Partial<Reconfigurable>;
}

export interface NodeProxy extends App {
  /** Where pulls are served; known after `start`. */
  addresses(): readonly ListenAddress[];
  /** Port of health and metrics. */
  healthPort(): number;
}

/** Wires the node proxy; starts nothing but the connection to NATS. Throws when a key or CA file cannot be read. */
export function createApp(config: Config, context: ServiceContext, deps: AppDeps = {}): NodeProxy {
  const { log, metrics, clock } = context;
  const now = (): number => clock.monotonic();
  const { proxy, cacheTimeouts, upstreamTimeouts } = config;

  const breakers = toldBreakers(config.upstreamBreaker, {
    log,
    clock,
    spared: metrics.counter(METRICS.proxyUpstreamSpared),
    open: metrics.gauge(METRICS.proxySparedUpstreams),
    onCollect: (collect) => metrics.onCollect(collect),
  });
  let upstreams = readRegistrySettings(config);
  const registry =
    deps.registry ??
    createRegistryAccess({
      ...upstreams,
      cache: readTimeouts(cacheTimeouts),
      upstream: readTimeouts(upstreamTimeouts),
      bufferPoolBytes: proxy.bufferPoolBytes,
      bufferMaxBytes: proxy.bufferMaxBytes,
      bufferMinBytes: proxy.bufferMinBytes,
      breakers,
      now: () => clock.now(),
      observe: (event) => {
        told.add(event);
        if (event.status === 429 && event.upstream?.anonymous === true)
          hosts.limited(event.host, event.upstream.retryAfterMs);
      },
    });
  const specs = { ...METRICS, reloads: METRICS.settingsReloads };
  const settings = followConfig({ context, config, applied: UPSTREAM_SECTIONS, files: registryFiles, specs });
  settings.onChange((changed) => {
    upstreams = readRegistrySettings(changed);
    registry.reconfigure?.(upstreams);
  });
  const { url } = config.nats;
  const bus = deps.bus ?? (url === undefined ? undefined : openBus({ ...config.nats, url }, 'node-proxy', context));

  const breaker = new Breaker({ failures: cacheTimeouts.breakerFailures, openMs: cacheTimeouts.breakerOpen, now });
  metrics.gauge(METRICS_V1.proxyBuildInfo).set(1, buildInfoV1(context.version));
  const breakerOpen = metrics.gauge(METRICS.proxyBreaker);
  metrics.onCollect(() => breakerOpen.set(breaker.open ? 1 : 0));
  const cacheFailures = metrics.counter(METRICS.proxyCacheFailures);
  const misses = new CacheMisses();
  const endpoint = readCacheEndpoint(config.cache, ['pull']);
  const cache = new CacheAccess({
    registry,
    endpoint,
    breaker,
    onMiss: (repository, what) => misses.add(repository, what, clock.now()),
    onWrong: tellWrong(misses, context),
    onDown: (error) => {
      cacheFailures.inc({ code: codeOf(error.cause) });
      log.warn('cache cannot be asked', { error: error.message, spared: breaker.open });
    },
  });
  const { tokenFile, timeout: timeoutMs } = config.broker;
  const readToken = async (): Promise<string> =>
    tokenFile === undefined ? 'none' : (await readFile(tokenFile, 'utf8')).trim();
  const credentials = bus && createCredentialClient(bus, { readToken, timeoutMs, now: () => clock.now() });
  const told = new ToldUpstream();
  const hosts = new KnownHosts({ bus, now: () => clock.now() });
  const parked = metrics.counter(METRICS.proxyUpstreamParked);
  const spared = spareUpstream({ registry, hosts, bus, sharedReadMs: proxy.sharedRead, onParked: () => parked.inc() });
  const upstreamBounds = readTimeouts(upstreamTimeouts);
  const shared = sharing(config, context, {
    registry,
    cache: endpoint,
    bus,
    answerMs: (host) => answerBoundMs(host, upstreams.registries, upstreamBounds),
  });
  const upstream = new UpstreamAccess({
    registry: spared,
    now,
    ...(credentials && { credentials }),
    ...(shared && { shared }),
  });
  const tags = bus
    ? new TagKnowledge({
        bus,
        timeoutMs: proxy.stateTimeout,
        spareMs: proxy.statePause,
        followed: proxy.followedTags,
        now,
      })
    : new NoTagKnowledge();

  const { privateImages } = config;
  const proxyAccess = metrics.counter(METRICS.proxyAccess);
  const guard =
    // Nobody to ask, and nothing to refuse.
    privateImages.mode === 'off' || (privateImages.mode === 'warn' && bus === undefined)
      ? undefined
      : new PullGuard({
          mode: privateImages.mode,
          unknownWhenDown: privateImages.unknownWhenDown,
          grants: readGrants(privateImages.certificateFile),
          verdicts: new AccessVerdicts({
            bus,
            records: bus && new RecordedAccess(bus.bucket(ACCESS_RECORDS)),
            readToken,
            timeoutMs,
            graceMs: privateImages.grace,
            now: () => clock.now(),
          }),
          count: (decision, reason) => proxyAccess.inc({ decision, reason }),
          log,
          now: () => clock.now(),
        });
  const manifests = new CachedManifests({ cache, maxBytes: proxy.manifestCacheBytes, now });
  const { tagMemory: tagMemoryMs, patience: patienceMs, clientIdle: clientIdleMs } = proxy;
  const { atMostEvery: atMostEveryMs, patience: checkPatienceMs, strict } = config.tags;
  const checked = metrics.counter(METRICS.proxyTagChecks);
  const find = new FindManifest({
    cache,
    manifests,
    upstream,
    tags,
    tagMemoryMs,
    patienceMs,
    silentMs: 10_000,
    checks: new TagChecks({ atMostEveryMs, entries: proxy.followedTags, now }),
    checkPatienceMs,
    strict: new Set(strict),
    onCheck: (result) => checked.inc({ result }),
    onMoved: (reference, digest) => bus?.publish(TAG_MOVED, { node: config.node, reference, digest }),
    now,
  });
  const resumes = metrics.counter(METRICS.proxyResumes);
  const blobs = new BlobRelay({
    cache,
    upstream,
    trust: new BlobTrust(now),
    onResume: (from, to) => resumes.inc({ from, to }),
  });
  const served = new ServedTally(clock.now());
  const pullLog = new PullLog(log, metrics, clock);
  const pullOptions = {
    manifests: find,
    blobs,
    cache,
    upstream,
    guard,
    served,
    log: pullLog,
    patienceMs,
    clientIdleMs,
    now,
    wall: () => clock.now(),
  };
  const ids = new RequestIds();
  const server = new PullServer({
    listen: config.listen,
    handle: new ServePull(pullOptions, ids).handle,
    quick: new QuickPulls(pullOptions, ids).answer,
    clientIdleMs,
    drainMs: proxy.drain,
  });

  const report = reportServed(
    {
      served,
      missing: () => misses.take((repository) => manifests.of(repository)),
      bus,
      node: config.node,
      everyMs: proxy.servedInterval,
    },
    context,
  );
  const outside: Part = {
    name: 'outside',
    async close() {
      await tags.stop();
      await hosts.stop();
      await bus?.close();
      await registry.close();
      pullLog.tell();
    },
  };
  const telling = loopPart({
    name: 'told',
    everyMs: proxy.toldInterval,
    tick: () => {
      const message = told.take(config.node);
      if (message !== undefined) bus?.publish(UPSTREAM_TOLD, message);
      return Promise.resolve();
    },
    onRound: reportRounds(log, metrics, METRICS),
  });
  const health = new HealthServer({ ...config.http, metrics, notReady: () => app.notReady() });
  const app = composeParts([health, outside, settings, report, telling, server], {
    log,
    closeMs: proxy.drain + 5_000,
  });
  return {
    start: () => app.start(),
    close: () => app.close(),
    addresses: () => server.addresses,
    healthPort: () => health.port,
  };
}

function codeOf(cause: unknown): string {
  return cause instanceof RegistryError ? cause.code : 'unexpected';
}

/** Reads through copiers, as long as NATS tells of any. */
function sharing(
  { transfers, upstreamTimeouts }: Config,
  { metrics, clock }: ServiceContext,
  parts: {
    registry: RegistryAccess;
    cache: CacheEndpoint;
    bus: Bus | undefined;
    /** How long an upstream may take to answer. */
    answerMs: (host: string) => number;
  },
): SharedReads | undefined {
  const { bus, answerMs, ...rest } = parts;
  if (!transfers.enabled || bus === undefined) return undefined;
  const owners = new Owners(() => clock.monotonic());
  bus.subscribe(TRANSFER_OWNERS, (owner) => owners.told(owner));
  const known = metrics.gauge(METRICS.proxyOwners);
  metrics.onCollect(() => known.set(owners.known));
  const reads = metrics.counter(METRICS.proxyShared);
  const { connect: connectMs, patience: patienceMs } = transfers;
  return new SharedReads({
    ...rest,
    owners,
    // It notices a silent upstream by itself, and goes on.
    timeouts: { connectMs, idleMs: 1.5 * upstreamTimeouts.idle },
    patienceMs,
    boundMs: (host) => answerMs(host) + FIXED.copierOwnMs,
    processAt: processesOver({
      answerMs: patienceMs / 2,
      saidMs: patienceMs,
      sinceSaidMs: (url) => owners.sinceToldMs(url),
    }),
    count: (result) => reads.inc({ result }),
    now: () => clock.monotonic(),
  });
}

/** Without a certificate nobody can show whose pods they pull for: everybody is a stranger. */
function readGrants(certificateFile: string | undefined): ShownGrants {
  if (certificateFile === undefined) return new ShownGrants(undefined);
  return new ShownGrants(grantCheckingKey(readSettingFile('privateImages.certificateFile', certificateFile)));
}
