import type { Pace, Pacer, QueueReports } from '../port.ts';
import type { RedisLink } from './redis-link.ts';

const TIMEOUT_MS = 500;

/**
 * KEYS[1] the host's bucket; ARGV: burst, tokens per ms. Time is Redis's own. Returns how long to wait, in ms.
 * Fields: t tokens left, a when that was, u parked until.
 */
const TAKE = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 't', 'a', 'u')
local parked = tonumber(held[3] or '0')
if parked > now then return parked - now end
local burst, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local tokens = math.min(burst, tonumber(held[1] or ARGV[1]) + math.max(0, now - tonumber(held[2] or now)) * rate)
if tokens < 1 then return math.max(1, math.ceil((1 - tokens) / rate)) end
redis.call('HSET', KEYS[1], 't', tostring(tokens - 1), 'a', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate) + 60000)
return 0`;

/** ARGV: until (epoch ms), reason. */
const PARK = `
local until_ms = tonumber(ARGV[1])
if until_ms <= tonumber(redis.call('HGET', KEYS[1], 'u') or '0') then return 0 end
redis.call('HSET', KEYS[1], 'u', ARGV[1], 'r', ARGV[2])
local now = redis.call('TIME')[1] * 1000
redis.call('PEXPIRE', KEYS[1], math.max(60000, until_ms - now + 60000))
return 1`;

export interface PacerOptions {
  /** The budget of a host. */
  readonly paceOf: (host: string) => Pace;
  readonly reports?: QueueReports;
  /** Epoch ms, for parks that are remembered here. */
  readonly now?: () => number;
}

/** A pacer over Redis; every process that uses the same Redis shares the budgets. */
export class RedisPacer implements Pacer {
  readonly #link: RedisLink;
  readonly #options: PacerOptions;
  readonly #parked = new Map<string, number>();

  constructor(link: RedisLink, options: PacerOptions) {
    this.#link = link;
    this.#options = options;
  }

  async take(host: string): Promise<number> {
    const here = (this.#parked.get(host) ?? 0) - this.#now();
    if (here > 0) return here;
    this.#parked.delete(host);
    const { burst, perSecond } = this.#options.paceOf(host);
    try {
      return await this.#link.call('pace', TIMEOUT_MS, async (redis) =>
        Number(await redis.eval(TAKE, 1, key(host), burst, perSecond / 1000)),
      );
    } catch {
      this.#options.reports?.onFailOpen?.('take');
      return 0;
    }
  }

  async park(host: string, untilMs: number, reason: string): Promise<void> {
    const until = Math.ceil(untilMs);
    this.#parked.set(host, Math.max(until, this.#parked.get(host) ?? 0));
    try {
      await this.#link.call('park', TIMEOUT_MS, (redis) => redis.eval(PARK, 1, key(host), until, reason.slice(0, 200)));
    } catch {
      this.#options.reports?.onFailOpen?.('park');
    }
  }

  async parkedUntil(host: string): Promise<number | undefined> {
    const there = await this.#link
      .call('read a park', TIMEOUT_MS, (redis) => redis.hget(key(host), 'u'))
      .catch(() => null);
    const until = Math.max(Number(there ?? 0), this.#parked.get(host) ?? 0);
    return until > this.#now() ? until : undefined;
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

function key(host: string): string {
  return `kuik:pace:${host}`;
}
