import { floorWaitMs, foldWord } from '../host-quota.ts';
import { LocalParks, paceOf } from '../pace.ts';
import { NO_PLACE, takePlace } from '../places.ts';
import { PARKS_FORGOTTEN_MS, parkLengthMs } from '../park-length.ts';
import type { FloorOptions, HostFacts, KnownQuota, Missed, Pace, Pacer, PacerOptions, QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';

interface Bucket {
  tokens: number;
  atMs: number;
  toldMs: number;
}

/** The buckets, parks and quotas that Redis would hold. */
export class MemoryPaces {
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #parks = new LocalParks();
  readonly #limits = new Map<string, { times: number; atMs: number }>();
  readonly #quotas = new Map<string, Map<string, KnownQuota>>();
  readonly #hosts = new Set<string>();
  readonly #places = new Map<string, Set<string>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  pacer(options: PacerOptions & QueueReports, away: () => boolean): Pacer {
    const own = new LocalParks();
    /** Whether Redis is there; what is missed is reported. */
    const there = async (what: Missed): Promise<boolean> => {
      await Promise.resolve();
      if (away()) options.missed?.(what);
      return !away();
    };
    const floorMs = (host: string, { floor = 0 }: FloorOptions): number =>
      floor <= 0 || away() ? 0 : floorWaitMs(this.#quotas.get(host)?.values() ?? [], floor, this.#now());
    const park = (host: string, untilMs: number, reason: string, shared: boolean): void => {
      const now = this.#now();
      if (!(untilMs > now)) return;
      own.park(host, untilMs, now, reason);
      if (!shared) return;
      this.#hosts.add(host);
      if (untilMs <= now + this.#parks.leftMs(host, now)) return;
      this.#parks.park(host, untilMs, now, reason);
      this.#buckets.set(host, { tokens: 1, atMs: untilMs, toldMs: 0 });
    };
    return {
      take: async (host, floor = {}) => {
        const shared = await there('take');
        const heldMs = floorMs(host, floor);
        const waitMs = heldMs > 0 || !shared ? heldMs : this.#take(host, paceOf(options, host));
        return Math.max(waitMs, own.leftMs(host, this.#now()));
      },
      place: async (host, signal) => {
        const { concurrency } = paceOf(options, host);
        if (concurrency === undefined) return NO_PLACE;
        const taken = this.#places.get(host) ?? new Set();
        this.#places.set(host, taken);
        const enter = async (who: string): Promise<boolean> => {
          if (!(await there('take'))) return true;
          if (!taken.has(who) && taken.size >= concurrency) return false;
          taken.add(who);
          return true;
        };
        return takePlace({ enter, leave: (who) => Promise.resolve(void taken.delete(who)) }, signal);
      },
      park: async (host, untilMs, reason) => park(host, untilMs, reason, await there('park')),
      limited: async (host, { retryAfterMs, reason }) => {
        const shared = await there('park');
        const now = this.#now();
        const leftMs = (shared ? this.#parks : own).leftMs(host, now);
        if (leftMs > 0 && (retryAfterMs ?? 0) <= leftMs) return leftMs;
        const ms = parkLengthMs({ retryAfterMs, times: this.#limitsInARow(host, leftMs, now) }, Math.random());
        park(host, now + ms, reason, shared);
        return ms;
      },
      parkedUntil: async (host, floor = {}) => {
        const shared = await there('parkedUntil');
        const now = this.#now();
        const parkedMs = Math.max(own.leftMs(host, now), shared ? this.#parks.leftMs(host, now) : 0);
        const left = Math.max(parkedMs, floorMs(host, floor));
        return left > 0 ? now + left : undefined;
      },
      told: async (host, word, { background = false } = {}) => {
        if (!(await there('quota'))) return;
        this.#hosts.add(host);
        const quotas = this.#quotas.get(host) ?? new Map<string, KnownQuota>();
        this.#quotas.set(
          host,
          quotas.set(word.identity, foldWord(quotas.get(word.identity), word, background, this.#now())),
        );
      },
      spent: async (host, requests) => {
        if (!(await there('quota'))) return;
        const pace = paceOf(options, host);
        const bucket = this.#bucket(host, pace);
        bucket.tokens = Math.max(-pace.burst, bucket.tokens - requests);
      },
      facts: async () => {
        if (!(await there('quota'))) throw new QueueError('unavailable', 'Redis does not answer');
        return [...this.#hosts].map((host) => this.#facts(host));
      },
      close: () => Promise.resolve(),
    };
  }

  #facts(host: string): HostFacts {
    const now = this.#now();
    const leftMs = this.#parks.leftMs(host, now);
    const why = this.#parks.reason(host);
    const quotas = [...(this.#quotas.get(host)?.values() ?? [])];
    if (leftMs <= 0) return { host, quotas };
    return { host, quotas, parkedUntilMs: now + leftMs, ...(why === undefined ? {} : { why }) };
  }

  #limitsInARow(host: string, leftMs: number, now: number): number {
    const before = this.#limits.get(host);
    const recent = before !== undefined && now - before.atMs < PARKS_FORGOTTEN_MS ? before.times : 0;
    const times = Math.max(1, leftMs > 0 ? recent : recent + 1);
    this.#limits.set(host, { times, atMs: now });
    return times;
  }

  #bucket(host: string, { perSecond, burst }: Pace): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(host) ?? { tokens: burst, atMs: now, toldMs: 0 };
    this.#buckets.set(host, bucket);
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = now;
    return bucket;
  }

  #take(host: string, pace: Pace): number {
    const now = this.#now();
    const parkedMs = this.#parks.leftMs(host, now);
    if (parkedMs > 0) return parkedMs;
    const bucket = this.#bucket(host, pace);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    const intervalMs = 1000 / pace.perSecond;
    bucket.toldMs = Math.max(bucket.toldMs + intervalMs, now + (1 - bucket.tokens) * intervalMs);
    return Math.ceil(bucket.toldMs - now);
  }
}
