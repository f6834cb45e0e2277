import { COPY_QUEUE, DEFAULTS } from '@kuik/contracts';
import { TurnsOver, type Claim, type TurnStore } from '../blob-turns.ts';
import { within } from '../bounded.ts';
import type { BlobTurns, BlobTurnsOptions, QueueReports } from '../port.ts';
import { PLACES_PER_BLOB } from '../remembered-places.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

const TIMEOUT_MS = 500;
/** After a call in vain nobody waits for Redis for this long: it would cost every blob of an image its half second. */
const QUIET_MS = 5_000;

/** KEYS: places, turn. ARGV: token, lock in ms, a dead one's token or '', places not to name. Returns `look` and the places, `bring`, or `wait` and whose turn it is. */
const CLAIM = `
local skipped = {}
for at = 4, #ARGV do skipped[ARGV[at]] = true end
local found = {'look'}
for _, place in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if not skipped[place] then found[#found + 1] = place end
end
if #found > 1 then return found end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[3] then return {'wait', holder} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'bring'}`;

/** KEYS: turn. ARGV: token, lock in ms. 1: ours. */
const RENEW = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS: places, turn. ARGV: token, place or '', how long to remember it in ms. */
const RELEASE = `
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
if ARGV[2] == '' then return 0 end
redis.call('LREM', KEYS[1], 0, ARGV[2])
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('LTRIM', KEYS[1], 0, ${PLACES_PER_BLOB - 1})
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;

/** Turns that every worker on this Redis shares. */
export function createBlobTurns(connection: RedisSettings, options: BlobTurnsOptions & QueueReports = {}): BlobTurns {
  return new TurnsOver(redisTurnStore(connection, options), options);
}

/** What turns need of Redis, scripts that each are one step for everybody. */
export function redisTurnStore(connection: RedisSettings, options: BlobTurnsOptions & QueueReports): TurnStore {
  const { lockMs = COPY_QUEUE.lockMs, rememberMs = DEFAULTS.copy.rememberMs } = options;
  const link = new RedisLink(connection, { patient: false, purpose: 'turns' }, options);
  let quietUntilMs = 0;

  const evaluate = async (script: string, keys: string[], values: (string | number)[]): Promise<unknown> => {
    const startedMs = performance.now();
    if (startedMs < quietUntilMs) return undefined;
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const call = link.client.eval(script, keys.length, ...keys, ...values);
        const answer = await within(call, TIMEOUT_MS - (performance.now() - startedMs));
        if (!answer.late) return answer.value;
      }
    } catch (error) {
      options.log?.debug('turns cannot be asked', { error });
    }
    quietUntilMs = performance.now() + QUIET_MS;
    options.missed?.('turns');
    return undefined;
  };
  const release = async (key: string, token: string, landedIn: string): Promise<void> => {
    await evaluate(RELEASE, [placesKey(key), turnKey(key)], [token, landedIn, rememberMs]);
  };

  return {
    async claim(key, token, except, dead = '') {
      const answer = await evaluate(CLAIM, [placesKey(key), turnKey(key)], [token, lockMs, dead, ...except]);
      return answer === undefined ? undefined : readClaim(answer as string[]);
    },
    async renew(key, token) {
      const answer = await evaluate(RENEW, [turnKey(key)], [token, lockMs]);
      return answer === undefined ? undefined : Number(answer) === 1;
    },
    release: (key, token, landedIn) => release(key, token, landedIn ?? ''),
    remember: (key, repository) => release(key, '', repository),
    async close() {
      link.close();
      await Promise.resolve();
    },
  };
}

function readClaim([verdict, ...told]: string[]): Claim {
  if (verdict === 'look') return { do: 'look', in: told };
  return verdict === 'bring' ? { do: 'bring' } : { do: 'wait', for: told[0] ?? '' };
}

const placesKey = (key: string): string => `kuik:blob:${key}`;
const turnKey = (key: string): string => `kuik:turn:${key}`;
