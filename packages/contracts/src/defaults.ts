const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * One table of defaults. Durations in ms, sizes in bytes. Each is a setting of the services that use it, by the same path: a test holds
 * every leaf against their settings.
 */
export const DEFAULTS = {
  proxyPrefixes: ['localhost:7439', '127.0.0.1:7439'],
  namespace: 'kuik-system',
  copy: {
    concurrency: 4,
    lockMs: 10 * SECOND,
    stallCheckMs: 5 * SECOND,
    drainMs: 20 * SECOND,
    blobsPerImage: 6,
    progressAfterMs: 2 * SECOND,
    progressEveryMs: MINUTE,
    turnWaitMs: 5 * MINUTE,
    rememberMs: 30 * DAY,
  },
  retry: { firstMs: 5 * SECOND, maxMs: 30 * MINUTE, unavailableMs: 6 * HOUR },
  lease: { durationMs: 15 * SECOND, renewMs: 5 * SECOND },
  usage: { completedHoldMs: HOUR, revisions: 3, kindsLookedForMs: MINUTE },
  fights: { pods: 3, withinMs: 2 * MINUTE, rememberMs: 30 * DAY },
  expiry: { unusedMs: 30 * DAY },
  removal: { graceMs: 5 * MINUTE, confirmTimeoutMs: 5 * SECOND },
  /** Upstream is asked about a tag at a pull: never more often than `atMostEveryMs` per node, never waited for longer than `patienceMs`. */
  tags: { atMostEveryMs: 5 * SECOND, patienceMs: 2 * SECOND, checkIntervalMs: 10 * MINUTE },
  presence: { everyMs: DAY },
  monitor: { intervalMs: 6 * HOUR, budgetPerInterval: 60, timeoutMs: 10 * SECOND },
  /** Meant for registries that say nothing about their limits: generous to bursts (a cluster that is seen for the first time), quick to be parked. */
  pace: {
    perSecond: 20,
    burst: 500,
    /** Shares of a quota that work for which nobody waits leaves to pulls; the checks stop first. */
    floor: { monitoring: 0.2, copies: 0.05 },
  },
  upstreamTimeouts: { connectMs: 3 * SECOND, headersMs: 10 * SECOND, idleMs: 30 * SECOND },
  /** A registry of others that does not answer so many requests in a row is spared for this long by a node. */
  upstreamBreaker: { failures: 3, openMs: 5 * SECOND },
  cacheTimeouts: {
    connectMs: 1 * SECOND,
    headersMs: 2 * SECOND,
    idleMs: 5 * SECOND,
    breakerFailures: 3,
    breakerOpenMs: 5 * SECOND,
  },
  proxy: {
    manifestCacheBytes: 32 * MiB,
    bufferPoolBytes: 24 * MiB,
    bufferMaxBytes: 1 * MiB,
    bufferMinBytes: 64 * 1024,
    stateTimeoutMs: 250,
    patienceMs: 3 * SECOND,
    servedIntervalMs: MINUTE,
    tagMemoryMs: 2 * SECOND,
  },
  transfers: {
    spoolBytes: 4096 * MiB,
    keepMs: 10 * MINUTE,
    connectMs: 500,
    patienceMs: 5 * SECOND,
  },
  broker: { audience: 'kuik-broker', podWaitMs: 1 * SECOND, timeoutMs: 3 * SECOND, reviewTtlMs: 5 * MINUTE },
  /** `warn` serves everybody and tells of what `enforce` would refuse; `grace` outlasts a weekend. */
  privateImages: {
    mode: 'warn',
    publicForMs: 6 * HOUR,
    verdictForMs: 10 * MINUTE,
    graceMs: 3 * DAY,
    grantForMs: DAY,
    unknownWhenDown: 'deny',
  },
  listen: { bodyLimitBytes: 4 * MiB },
  certificate: { days: 365 },
} as const;

/** What no setting changes. */
export const FIXED = {
  /** A job whose worker died is taken up by another one, however often that happens: its copy goes on where it was. */
  maxStalledCount: 1000,
  /** Of one manifest; larger ones are refused by registries, too. */
  manifestMaxBytes: 4 * MiB,
  /** Up to here a copy reads and stores a blob by itself: to read it again costs less than to find out who has it. */
  smallBlobBytes: 16 * KiB,
  /** What a copier takes for itself besides what upstream takes to answer: it finds out who owns the transfer, and says what became of it. */
  copierOwnMs: 2_000,
} as const;
