import { WaitTimeout } from '../process/until.ts';
import type { RequestKind } from './rule.ts';

/** One request as the upstream saw it. Never holds a credential. */
export interface RequestRecord {
  readonly seq: number;
  readonly atMs: number;
  readonly host: string;
  readonly kind: RequestKind;
  readonly method: string;
  /** As the client wrote it, without query. */
  readonly path: string;
  readonly repository?: string;
  readonly reference?: string;
  readonly range?: string;
  readonly accept?: string;
  /** Scheme of the Authorization header that came along, `none` without one. */
  readonly auth: 'none' | 'basic' | 'bearer' | 'other';
  /** Names of all headers that came along. */
  readonly headers: readonly string[];
  /** `X-Request-Id`. */
  readonly requestId?: string;
  /** 0 until answered. */
  readonly status: number;
  /** Bytes of the answer's body handed to the socket. */
  readonly bytes: number;
  /** Bytes of the request's body. */
  readonly receivedBytes: number;
  /** Rules that applied. */
  readonly rules: readonly string[];
  /** `cut`: broken on purpose; `aborted`: the client left, or the backing registry broke. */
  readonly outcome: 'open' | 'done' | 'cut' | 'aborted';
}

export interface RequestFilter {
  readonly host?: string | undefined;
  readonly kind?: RequestKind | 'manifest' | undefined;
  readonly method?: string | undefined;
  readonly status?: number | undefined;
}

/** How often, and how much. `status` 0 are requests that have no answer yet, or never had one. */
export interface Count extends Required<Pick<RequestRecord, 'host' | 'kind' | 'method' | 'status'>> {
  readonly requests: number;
  readonly bytes: number;
}

/** What is known of a request on arrival. */
export type Started = Omit<RequestRecord, 'seq' | 'status' | 'bytes' | 'receivedBytes' | 'rules' | 'outcome'>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Everything that was asked: totals for ever (until reset), and the last requests one by one. */
export class RequestLog {
  readonly #keep: number;
  #seq = 0;
  /** Requests up to this one were forgotten. */
  #forgotten = 0;
  #recent: Writable<RequestRecord>[] = [];
  #counts = new Map<string, Writable<Count>>();
  readonly #waiting = new Set<() => void>();

  /** @param keep how many requests are remembered one by one */
  constructor(keep = 10_000) {
    this.#keep = keep;
  }

  /** Notes a request on arrival and gives the pen that completes it. */
  arrived(request: Started): RequestPen {
    this.#seq += 1;
    const record: Writable<RequestRecord> = {
      ...request,
      seq: this.#seq,
      status: 0,
      bytes: 0,
      receivedBytes: 0,
      rules: [],
      outcome: 'open',
    };
    this.#recent.push(record);
    if (this.#recent.length > this.#keep * 2) this.#recent = this.#recent.slice(-this.#keep);
    this.#count(record, 1, 0);
    this.#wake();
    return {
      rules: (ids) => {
        record.rules = [...record.rules, ...ids];
        if (ids.length > 0) this.#wake();
      },
      received: (bytes) => {
        record.receivedBytes += bytes;
      },
      answered: (status) => {
        this.#count(record, -1, 0);
        record.status = status;
        this.#count(record, 1, 0);
        this.#wake();
      },
      sent: (bytes) => {
        record.bytes += bytes;
        this.#count(record, 0, bytes);
        if (this.#waiting.size > 0) this.#wake();
      },
      ended: (outcome) => {
        if (record.outcome !== 'open') return;
        record.outcome = outcome;
        this.#wake();
      },
    };
  }

  /** The last requests, oldest first. */
  requests(filter: RequestFilter = {}): RequestRecord[] {
    return this.#recent
      .slice(-this.#keep)
      .filter((record) => fits(record, filter))
      .map((record) => ({ ...record }));
  }

  /** One row for each host, kind, method and status seen. */
  counts(filter: RequestFilter = {}): Count[] {
    return [...this.#counts.values()].filter((row) => row.requests > 0 && fits(row, filter)).map((row) => ({ ...row }));
  }

  /** The sum of counts(). */
  total(filter: RequestFilter = {}): { requests: number; bytes: number } {
    const rows = this.counts(filter);
    return {
      requests: rows.reduce((sum, row) => sum + row.requests, 0),
      bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    };
  }

  /** Forgets counts and requests; those still open are forgotten too. */
  reset(): void {
    this.#recent = [];
    this.#counts = new Map();
    this.#forgotten = this.#seq;
  }

  /** Resolves with the first request, past ones included, that the predicate accepts; looks again at every change. */
  untilRequest(
    predicate: (request: RequestRecord) => boolean,
    deadlineMs = 10_000,
    what = 'a request that the predicate accepts',
  ): Promise<RequestRecord> {
    return this.until(() => this.requests().find(predicate), deadlineMs, what);
  }

  /** Resolves with the first defined value of `check`, which is called at every change. Throws WaitTimeout. */
  until<T>(check: () => T | undefined, deadlineMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const value = check();
        if (value === undefined) return false;
        this.#waiting.delete(onChange);
        clearTimeout(timer);
        resolve(value);
        return true;
      };
      const onChange = (): void => void look();
      const timer = setTimeout(() => {
        this.#waiting.delete(onChange);
        reject(new WaitTimeout(`waited ${deadlineMs / 1000} s for ${what}; seen: ${this.#summary()}`));
      }, deadlineMs);
      if (!look()) this.#waiting.add(onChange);
    });
  }

  #summary(): string {
    const rows = this.counts().map(
      ({ host, kind, method, status, requests }) => `${requests} x ${method} ${kind} ${host} -> ${status}`,
    );
    return rows.length === 0 ? 'no request' : rows.slice(0, 20).join(', ');
  }

  #count({ seq, host, kind, method, status }: RequestRecord, requests: number, bytes: number): void {
    if (seq <= this.#forgotten) return;
    const key = `${host} ${kind} ${method} ${status}`;
    let count = this.#counts.get(key);
    if (count === undefined) {
      count = { host, kind, method, status, requests: 0, bytes: 0 };
      this.#counts.set(key, count);
    }
    count.requests += requests;
    count.bytes += bytes;
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}

/** Completes one record. */
export interface RequestPen {
  rules(ids: readonly string[]): void;
  received(bytes: number): void;
  answered(status: number): void;
  sent(bytes: number): void;
  ended(outcome: Exclude<RequestRecord['outcome'], 'open'>): void;
}

function fits(row: Pick<RequestRecord, 'host' | 'kind' | 'method' | 'status'>, filter: RequestFilter): boolean {
  return (
    (filter.host === undefined || row.host === filter.host) &&
    (filter.kind === undefined ||
      row.kind === filter.kind ||
      (filter.kind === 'manifest' && row.kind.startsWith('manifest-'))) &&
    (filter.method === undefined || row.method === filter.method) &&
    (filter.status === undefined || row.status === filter.status)
  );
}
