import { METRICS, METRICS_V1 } from '@kuik/contracts';
import type { Counter, Histogram, Logger, Metrics } from '@kuik/runtime';
import type { Pull } from './pull-path.ts';

/** Everything that is told of one request: one log line, a few counters, and the report of what was served. */
export interface PullRecord {
  readonly id: string;
  readonly startedMs: number;
  kind: 'base' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'refused';
  method: string;
  /** As asked for: `docker.io/library/nginx`. */
  name?: string;
  reference?: string;
  /** The registry whose image was asked for. */
  host?: string;
  /** Canonical reference of the image that was meant, for the report of what was served. */
  image?: string;
  /** Request id of the admission that brought the image into the cache: the webhook's and the copier's lines carry it too. */
  admission?: string;
  digest?: string;
  origin: 'cache' | 'memory' | 'upstream' | 'alternative' | 'none';
  reason: string;
  stale: boolean;
  status: number;
  /** Body bytes sent. */
  bytes: number;
  /** KUIK code of what went wrong, and what it was. */
  code?: string;
  error?: string;
  firstByteMs?: number;
}

/** A record of a request that nothing is known of yet. */
export function newRecord(id: string, method: string, nowMs: number): PullRecord {
  return {
    id,
    method,
    startedMs: nowMs,
    kind: 'refused',
    origin: 'none',
    reason: 'Refused',
    stale: false,
    status: 0,
    bytes: 0,
  };
}

/** Notes what a request means. */
export function meant(record: PullRecord, pull: Pull): void {
  record.kind = pull.kind;
  if ('name' in pull) record.name = pull.name;
  const host = 'repositories' in pull ? pull.repositories[0]?.host : undefined;
  if (host !== undefined) record.host = host;
}

const REGISTRIES_NAMED = 100;

/** Tells of requests that ended. */
export class PullLog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #requests: Counter<typeof METRICS.proxyRequests>;
  readonly #bytes: Counter<typeof METRICS.proxyBytes>;
  readonly #firstByte: Histogram<typeof METRICS.proxyFirstByteSeconds>;
  readonly #failures: Counter<typeof METRICS.proxyFailures>;
  readonly #requestsV1: Counter<typeof METRICS_V1.proxyRequests>;
  readonly #hosts = new Set<string>();

  constructor(log: Logger, metrics: Metrics, now: () => number) {
    this.#log = log;
    this.#now = now;
    this.#requests = metrics.counter(METRICS.proxyRequests);
    this.#bytes = metrics.counter(METRICS.proxyBytes);
    this.#firstByte = metrics.histogram(METRICS.proxyFirstByteSeconds);
    this.#failures = metrics.counter(METRICS.proxyFailures);
    this.#requestsV1 = metrics.counter(METRICS_V1.proxyRequests);
  }

  /** The request is over; `complete` is false when its body broke or its client left. */
  ended(record: PullRecord, complete: boolean): void {
    const { kind, origin, reason, status, bytes, firstByteMs } = record;
    this.#requests.inc({ kind, origin, reason, status });
    if (record.code !== undefined) this.#failures.inc({ code: record.code });
    if (record.host !== undefined) {
      const cacheHit = String(origin === 'cache' || origin === 'memory');
      this.#requestsV1.inc({ registry: this.#registry(record.host), statusCode: status, cacheHit });
    }
    if (bytes > 0) this.#bytes.inc({ origin }, bytes);
    if (firstByteMs !== undefined) this.#firstByte.observe((firstByteMs - record.startedMs) / 1000, { origin });
    const fields = {
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
      ms: Math.round((this.#now() - record.startedMs) * 10) / 10,
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
