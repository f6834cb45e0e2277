/*
 * What the pacer does in Redis, by Redis' clock: what goes in and out are durations, so clocks may differ.
 */

/**
 * KEYS: bucket, park. ARGV: tokens per ms, burst. Returns 0, or the ms to wait. Who finds the bucket empty is told a time of its own
 * (`told` moves on by one interval each time), so that many who wait do not come back together.
 */
export const TAKE = `
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

/** KEYS: bucket. ARGV: tokens per ms, burst, tokens spent. Takes what is there, and owes as much as a whole bucket. */
export const SPEND = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or burst), tonumber(kept[2] or now)
tokens = math.min(burst, tokens + math.max(0, now - at) * rate) - tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'tokens', tostring(math.max(-burst, tokens)), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(2 * burst / rate) + 1000)
return 1`;

/**
 * KEYS: park, bucket, payers. ARGV: ms from now, reason, payer, ms for which limits in a row are remembered, payers remembered. Keeps the
 * later of two. Afterwards one may go at once, the others at the host's pace.
 */
export const PARK = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local untilMs = now + tonumber(ARGV[1])
if untilMs > tonumber(redis.call('HGET', KEYS[1], 'until') or '0') then
  redis.call('HSET', KEYS[1], 'until', untilMs, 'reason', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], untilMs + tonumber(ARGV[4]))
  redis.call('HSET', KEYS[2], 'tokens', 1, 'at', untilMs)
  redis.call('PEXPIREAT', KEYS[2], untilMs + 60000)
end
redis.call('ZADD', KEYS[3], now, ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[5]))
return 1`;

/**
 * KEYS: park. ARGV: ms for which limits in a row are remembered, ms until PARK has come. Returns the ms left (0 when not parked), and how many limits in a
 * row this one is. While it is parked it is still the same one, from the first word of many on.
 */
export const LIMITED = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now)
local times = tonumber(redis.call('HGET', KEYS[1], 'times') or '0')
if left == 0 then
  times = redis.call('HINCRBY', KEYS[1], 'times', 1)
  redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {left, math.max(1, times)}`;

/** KEYS: park. Returns the ms left, 0 when not parked. */
export const PARKED = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now)`;

/** KEYS: places. ARGV: who, how many there are, ms for which one is held. Takes a place, or holds on to it; returns whether there was one. */
export const ENTER = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;
