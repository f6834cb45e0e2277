import { floorWaitMs, foldWord } from '../host-quota.ts';
import { LocalParks, paceOf, payerKey, payerOf } from '../pace.ts';
import { NO_PLACE, takePlace } from '../places.ts';
import { PARKS_FORGOTTEN_MS, parkLengthMs } from '../park-length.ts';
import type { FloorOptions, KnownQuota, Missed, Pace, Pacer, PacerOptions, PayerFacts, QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';

interface Bucket {
  tokens: number;
  atMs: number;
  toldMs: number;
}

/** The buckets, parks and quotas that Redis would hold, by `payerKey`. */
export class MemoryPaces {
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #parks = new LocalParks();
  readonly #limits = new Map<string, { times: number; atMs: number }>();
  readonly #quotas = new Map<string, Map<string, KnownQuota>>();
  readonly #payers = new Set<string>();
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
    const floorMs = (payer: string, { floor = 0 }: FloorOptions): number =>
      floor <= 0 || away() ? 0 : floorWaitMs(this.#quotas.get(payer)?.values() ?? [], floor, this.#now());
    const park = (payer: string, untilMs: number, reason: string, shared: boolean): void => {
      const now = this.#now();
      if (!(untilMs > now)) return;
      own.park(payer, untilMs, now, reason);
      if (!shared) return;
      this.#payers.add(payer);
      if (untilMs <= now + this.#parks.leftMs(payer, now)) return;
      this.#parks.park(payer, untilMs, now, reason);
      this.#buckets.set(payer, { tokens: 1, atMs: untilMs, toldMs: 0 });
    };
    return {
      take: async (of, floor = {}) => {
        const payer = payerKey(of);
        const shared = await there('take');
        const heldMs = floorMs(payer, floor);
        const waitMs = heldMs > 0 || !shared ? heldMs : this.#take(payer, paceOf(options, of.host));
        return Math.max(waitMs, own.leftMs(payer, this.#now()));
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
      park: async (of, untilMs, reason) => park(payerKey(of), untilMs, reason, await there('park')),
      limited: async (of, { retryAfterMs, reason }) => {
        const payer = payerKey(of);
        const shared = await there('park');
        const now = this.#now();
        const leftMs = (shared ? this.#parks : own).leftMs(payer, now);
        if (leftMs > 0 && (retryAfterMs ?? 0) <= leftMs) return leftMs;
        const ms = parkLengthMs({ retryAfterMs, times: this.#limitsInARow(payer, leftMs, now) }, Math.random());
        park(payer, now + ms, reason, shared);
        return ms;
      },
      parkedUntil: async (of, floor = {}) => {
        const payer = payerKey(of);
        const shared = await there('parkedUntil');
        const now = this.#now();
        const parkedMs = Math.max(own.leftMs(payer, now), shared ? this.#parks.leftMs(payer, now) : 0);
        const left = Math.max(parkedMs, floorMs(payer, floor));
        return left > 0 ? now + left : undefined;
      },
      told: async (of, word, { background = false } = {}) => {
        const payer = payerKey(of);
        if (!(await there('quota'))) return;
        this.#payers.add(payer);
        const quotas = this.#quotas.get(payer) ?? new Map<string, KnownQuota>();
        this.#quotas.set(
          payer,
          quotas.set(word.identity, foldWord(quotas.get(word.identity), word, background, this.#now())),
        );
      },
      spent: async (of, requests) => {
        if (!(await there('quota'))) return;
        const pace = paceOf(options, of.host);
        const bucket = this.#bucket(payerKey(of), pace);
        bucket.tokens = Math.max(-pace.burst, bucket.tokens - requests);
      },
      facts: async () => {
        if (!(await there('quota'))) throw new QueueError('unavailable', 'Redis does not answer');
        return [...this.#payers].map((payer) => this.#facts(payer));
      },
      close: () => Promise.resolve(),
    };
  }

  #facts(payer: string): PayerFacts {
    const now = this.#now();
    const leftMs = this.#parks.leftMs(payer, now);
    const why = this.#parks.reason(payer);
    const quotas = [...(this.#quotas.get(payer)?.values() ?? [])];
    if (leftMs <= 0) return { ...payerOf(payer), quotas };
    return { ...payerOf(payer), quotas, parkedUntilMs: now + leftMs, ...(why === undefined ? {} : { why }) };
  }

  #limitsInARow(payer: string, leftMs: number, now: number): number {
    const before = this.#limits.get(payer);
    const recent = before !== undefined && now - before.atMs < PARKS_FORGOTTEN_MS ? before.times : 0;
    const times = Math.max(1, leftMs > 0 ? recent : recent + 1);
    this.#limits.set(payer, { times, atMs: now });
    return times;
  }

  #bucket(payer: string, { perSecond, burst }: Pace): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(payer) ?? { tokens: burst, atMs: now, toldMs: 0 };
    this.#buckets.set(payer, bucket);
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = now;
    return bucket;
  }

  #take(payer: string, pace: Pace): number {
    const now = this.#now();
    const parkedMs = this.#parks.leftMs(payer, now);
    if (parkedMs > 0) return parkedMs;
    const bucket = this.#bucket(payer, pace);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    const intervalMs = 1000 / pace.perSecond;
    bucket.toldMs = Math.max(bucket.toldMs + intervalMs, now + (1 - bucket.tokens) * intervalMs);
    return Math.ceil(bucket.toldMs - now);
  }
}
