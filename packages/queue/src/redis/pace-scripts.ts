/*
 * What the pacer does in Redis, by Redis' clock: what goes in and out are durations, so clocks may differ.
 */

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * KEYS: bucket, park. ARGV: tokens per ms, burst. Returns 0, or the ms to wait. Who finds the bucket empty is told a time of its own
 * (`told` moves on by one interval each time), so that many who wait do not come back together.
 */
export const TAKE = `${NOW}
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

/** KEYS: bucket. ARGV: tokens per ms, burst, tokens spent. Takes what is there, and owes as much as a whole bucket. */
export const SPEND = `${NOW}
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or burst), tonumber(kept[2] or now)
tokens = math.min(burst, tokens + math.max(0, now - at) * rate) - tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'tokens', tostring(math.max(-burst, tokens)), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(2 * burst / rate) + 1000)
return 1`;

/** Parks until `untilMs`, or longer when it is parked longer already. Afterwards one may go at once, the others at the host's pace. */
const PARK_UNTIL = `
local function park(untilMs, reason, payer, rememberedMs, payersMax)
  if untilMs > tonumber(redis.call('HGET', KEYS[1], 'until') or '0') then
    redis.call('HSET', KEYS[1], 'until', untilMs, 'reason', reason)
    redis.call('PEXPIREAT', KEYS[1], untilMs + tonumber(rememberedMs))
    redis.call('HSET', KEYS[2], 'tokens', 1, 'at', untilMs)
    redis.call('PEXPIREAT', KEYS[2], untilMs + 60000)
  end
  redis.call('ZADD', KEYS[3], now, payer)
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(payersMax))
end`;

/** KEYS: park, bucket, payers. ARGV: reason, payer, ms for which limits in a row are remembered, payers remembered, ms from now. */
export const PARK = `${NOW}${PARK_UNTIL}
park(now + tonumber(ARGV[5]), ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1`;

/**
 * KEYS: park, bucket, payers. ARGV: the first four of PARK, what the host asked for (ms; 0: nothing), how long to park for the first limit in a row, for the
 * second and so on (the last one for all others). Returns the ms left. Whoever is limited while it is parked met the same limit: nothing new,
 * unless the host asks for longer.
 */
export const LIMITED = `${NOW}${PARK_UNTIL}
local left = math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now)
if left > 0 and tonumber(ARGV[5]) <= left then return left end
local times = tonumber(redis.call('HGET', KEYS[1], 'times') or '0')
if left == 0 then times = redis.call('HINCRBY', KEYS[1], 'times', 1) end
local ms = tonumber(ARGV[math.min(#ARGV, 5 + math.max(1, times))])
park(now + ms, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return ms`;

/** KEYS: park. Returns the ms left, 0 when not parked. */
export const PARKED = `${NOW}
return math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now)`;

/** KEYS: places. ARGV: who, how many there are, ms for which one is held. Takes a place, or holds on to it; returns whether there was one. */
export const ENTER = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;
