import { LocalParks, paceOf } from '../pace.ts';
import type { Pacer, PacerOptions, QueueReports } from '../port.ts';

interface Bucket {
  tokens: number;
  atMs: number;
  toldMs: number;
}

/** The buckets and parks that Redis would hold. */
export class MemoryPaces {
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #parks = new LocalParks();

  constructor(now: () => number) {
    this.#now = now;
  }

  pacer(options: PacerOptions & QueueReports, away: () => boolean): Pacer {
    const own = new LocalParks();
    return {
      take: async (host) => {
        await Promise.resolve();
        if (away()) options.missed?.('take');
        const waitMs = away() ? 0 : this.#take(host, paceOf(options, host));
        return Math.max(waitMs, own.leftMs(host, this.#now()));
      },
      park: async (host, untilMs) => {
        await Promise.resolve();
        const now = this.#now();
        if (!(untilMs > now)) return;
        own.park(host, untilMs, now);
        if (away()) options.missed?.('park');
        else this.#parks.park(host, untilMs, now);
      },
      parkedUntil: async (host) => {
        await Promise.resolve();
        const now = this.#now();
        if (away()) options.missed?.('parkedUntil');
        const left = Math.max(own.leftMs(host, now), away() ? 0 : this.#parks.leftMs(host, now));
        return left > 0 ? now + left : undefined;
      },
      close: () => Promise.resolve(),
    };
  }

  #take(host: string, { perSecond, burst }: { perSecond: number; burst: number }): number {
    const now = this.#now();
    const parkedMs = this.#parks.leftMs(host, now);
    if (parkedMs > 0) return parkedMs;
    const intervalMs = 1000 / perSecond;
    const bucket = this.#buckets.get(host) ?? { tokens: burst, atMs: now, toldMs: 0 };
    this.#buckets.set(host, bucket);
    bucket.tokens = Math.min(burst, bucket.tokens + Math.max(0, now - bucket.atMs) / intervalMs);
    bucket.atMs = now;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    bucket.toldMs = Math.max(bucket.toldMs + intervalMs, now + (1 - bucket.tokens) * intervalMs);
    return Math.ceil(bucket.toldMs - now);
  }
}
