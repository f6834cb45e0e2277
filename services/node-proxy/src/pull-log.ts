import { METRICS, METRICS_V1 } from '@kuik/contracts';
import type { Clock, Counter, Histogram, Logger, Metrics } from '@kuik/runtime';
import type { PullRecord } from './pull-record.ts';

const REGISTRIES_NAMED = 100;
/** How long a request that ended may wait to be told of, ms, and how many of them wait. A process that is killed (SIGKILL) loses no more than that. */
const TOGETHER_MS = 50;
const TOGETHER_MAX = 64;

interface Ended {
  readonly record: PullRecord;
  readonly complete: boolean;
  /** Monotonic ms. */
  readonly atMs: number;
}

/**
 * Tells of requests that ended: a log line each, and counters. Those of a few milliseconds are told together: behind a body that went through
 * the processor's caches whatever runs next has to be fetched from far away, and telling runs through much code. Failures are told at once.
 */
export class PullLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #requests: Counter<typeof METRICS.proxyRequests>;
  readonly #bytes: Counter<typeof METRICS.proxyBytes>;
  readonly #firstByte: Histogram<typeof METRICS.proxyFirstByteSeconds>;
  readonly #failures: Counter<typeof METRICS.proxyFailures>;
  readonly #requestsV1: Counter<typeof METRICS_V1.proxyRequests>;
  readonly #hosts = new Set<string>();
  #untold: Ended[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, metrics: Metrics, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#requests = metrics.counter(METRICS.proxyRequests);
    this.#bytes = metrics.counter(METRICS.proxyBytes);
    this.#firstByte = metrics.histogram(METRICS.proxyFirstByteSeconds);
    this.#failures = metrics.counter(METRICS.proxyFailures);
    this.#requestsV1 = metrics.counter(METRICS_V1.proxyRequests);
    metrics.onCollect(() => this.tell());
  }

  /** The request is over, and its record final; `complete` is false when its body broke or its client left. */
  ended(record: PullRecord, complete: boolean): void {
    this.#untold.push({ record, complete, atMs: this.#clock.monotonic() });
    if (!complete || record.code !== undefined || this.#untold.length >= TOGETHER_MAX) return this.tell();
    this.#timer ??= setTimeout(() => this.tell(), TOGETHER_MS);
  }

  /** Tells of everything that ended. */
  tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#untold.length === 0) return;
    const untold = this.#untold;
    this.#untold = [];
    const began = this.#clock.now() - this.#clock.monotonic();
    for (const ended of untold) {
      this.#count(ended.record);
      this.#line(ended, new Date(began + ended.atMs));
    }
  }

  #count({ kind, origin, reason, status, bytes, firstByteMs, startedMs, code, host }: PullRecord): void {
    this.#requests.inc({ kind, origin, reason, status });
    if (code !== undefined) this.#failures.inc({ code });
    if (host !== undefined) {
      const cacheHit = String(origin === 'cache' || origin === 'memory');
      this.#requestsV1.inc({ registry: this.#registry(host), statusCode: status, cacheHit });
    }
    if (bytes > 0) this.#bytes.inc({ origin }, bytes);
    if (firstByteMs !== undefined) this.#firstByte.observe((firstByteMs - startedMs) / 1000, { origin });
  }

  #line({ record, complete, atMs }: Ended, time: Date): void {
    const { kind, origin, reason, status, bytes } = record;
    const fields = {
      time: time.toISOString(),
      requestId: record.id,
      method: record.method,
      kind,
      name: record.name,
      reference: record.reference,
      image: record.image,
      admission: record.admission,
      digest: record.digest,
      status,
      origin,
      reason,
      ms: Math.round((atMs - record.startedMs) * 10) / 10,
      bytes,
      ...(record.stale ? { stale: true } : {}),
      ...(complete ? {} : { complete: false }),
      ...(record.code === undefined ? {} : { code: record.code, error: record.error }),
    };
    if (status >= 500 || (!complete && record.code !== 'client-gone')) this.#log.warn('pull answered', fields);
    else if (kind === 'base') this.#log.debug('pull answered', fields);
    else this.#log.info('pull answered', fields);
  }

  /** Whoever reaches the port may name any registry: their number as a label has an end. */
  #registry(host: string): string {
    if (this.#hosts.size < REGISTRIES_NAMED) this.#hosts.add(host);
    return this.#hosts.has(host) ? host : 'other';
  }
}
