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
