import { within } from '../bounded.ts';
import type { Missed, Pacer, PacerOptions, QueueReports } from '../port.ts';
import { LocalParks, paceOf } from '../pace.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

const TIMEOUT_MS = 1_000;
const PREFIX = 'kuik';

/**
 * KEYS: bucket, park. ARGV: tokens per ms, burst. Returns 0, or the ms to wait. Who finds the bucket empty is told a time of its own
 * (`told` moves on by one interval each time), so that many who wait do not come back together.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local untilMs = tonumber(redis.call('HGET', KEYS[2], 'until') or '0')
if untilMs > now then return untilMs - now end
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'told')
local tokens, at, told = tonumber(kept[1] or burst), tonumber(kept[2] or now), tonumber(kept[3] or 0)
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local wait = 0
if tokens >= 1 then
  tokens = tokens - 1
else
  local first = now + (1 - tokens) / rate
  told = math.max(told + 1 / rate, first)
  wait = math.ceil(told - now)
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', now, 'told', tostring(told))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate) + 1000 + wait)
return wait`;

/** KEYS: park. ARGV: ms from now, reason. Keeps the later of two. */
const PARK = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local untilMs = now + tonumber(ARGV[1])
if untilMs > tonumber(redis.call('HGET', KEYS[1], 'until') or '0') then
  redis.call('HSET', KEYS[1], 'until', untilMs, 'reason', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], untilMs)
end
return 1`;

/** KEYS: park. Returns the ms left, 0 when not parked. */
const PARKED = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now)`;

/** The pace of each host, in Redis and by its clock: what goes in and out are durations, so clocks may differ. */
export function createPacer(connection: RedisSettings, options: PacerOptions & QueueReports = {}): Pacer {
  const link = new RedisLink(connection, { patient: false, purpose: 'pace' }, options);
  const parks = new LocalParks();

  const evaluate = async (
    what: Missed,
    script: string,
    keys: string[],
    values: (string | number)[],
  ): Promise<number | undefined> => {
    const startedMs = performance.now();
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const call = link.client.eval(script, keys.length, ...keys, ...values);
        const answer = await within(call, TIMEOUT_MS - (performance.now() - startedMs));
        if (!answer.late) return Number(answer.value);
      }
    } catch (error) {
      options.log?.debug('pace cannot be asked', { error });
    }
    options.missed?.(what);
    return undefined;
  };

  return {
    async take(host) {
      const { perSecond, burst } = paceOf(options, host);
      const waitMs = await evaluate('take', TAKE, [bucketKey(host), parkKey(host)], [perSecond / 1000, burst]);
      return Math.max(waitMs ?? 0, parks.leftMs(host, Date.now()));
    },
    async park(host, untilMs, reason) {
      const now = Date.now();
      if (!(untilMs > now)) return;
      parks.park(host, untilMs, now);
      await evaluate('park', PARK, [parkKey(host)], [Math.ceil(untilMs - now), reason]);
    },
    async parkedUntil(host) {
      const local = parks.leftMs(host, Date.now());
      const shared = (await evaluate('parkedUntil', PARKED, [parkKey(host)], [])) ?? 0;
      const left = Math.max(local, shared);
      return left > 0 ? Date.now() + left : undefined;
    },
    async close() {
      link.close();
      await Promise.resolve();
    },
  };
}

const bucketKey = (host: string): string => `${PREFIX}:pace:${host}`;
const parkKey = (host: string): string => `${PREFIX}:park:${host}`;
