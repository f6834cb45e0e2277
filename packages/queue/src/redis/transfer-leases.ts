import { COPY_QUEUE } from '@kuik/contracts';
import { within } from '../bounded.ts';
import { FORMER_OWNERS_MAX, formerOwners } from '../former-owners.ts';
import type { LeaseClaim, QueueReports, TransferLeases, TransferLeasesOptions } from '../port.ts';
import { RedisLink, type RedisSettings } from './connection.ts';

const TIMEOUT_MS = 500;
/** After a call in vain nobody waits for Redis for this long: a pull is waiting. */
const QUIET_MS = 2_000;
const NOTE_MS = 3_600_000;
const LANDED_MS = 60_000;
/** Where a spool is, is said so often in the time for which it is believed. */
const SAID_PER_LOCK = 3;

/**
 * KEYS: owner, landed, spools, how far each came. ARGV: address, lock in ms, an owner that is dead or '', how long to remember spools in ms, spool.
 * Returns the owner's address, whether it landed lately, whose spools may hold some of it, and up to which byte.
 */
const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] or owner == ARGV[3] then
  if owner ~= ARGV[1] then
    redis.call('LREM', KEYS[3], 0, ARGV[5])
    redis.call('LPUSH', KEYS[3], ARGV[5])
    redis.call('LTRIM', KEYS[3], 0, ${FORMER_OWNERS_MAX})
    redis.call('PEXPIRE', KEYS[3], ARGV[4])
  end
  owner = ARGV[1]
  redis.call('SET', KEYS[1], owner, 'PX', ARGV[2])
end
local spools = redis.call('LRANGE', KEYS[3], 0, -1)
local reached = {}
if #spools > 0 then reached = redis.call('HMGET', KEYS[4], unpack(spools)) end
return {owner, redis.call('EXISTS', KEYS[2]), spools, reached}`;

/** KEYS: as above. ARGV: address, how it ended, how long to remember that it landed in ms. */
const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
if ARGV[2] == 'wrong' then redis.call('DEL', KEYS[2]) end
if ARGV[2] == 'landed' then redis.call('SET', KEYS[2], '1', 'PX', ARGV[3]) end
if ARGV[2] ~= 'left' then redis.call('DEL', KEYS[3], KEYS[4]) end
return 1`;

/** Leases that every image-copier on this Redis shares. */
export function createTransferLeases(
  connection: RedisSettings,
  options: TransferLeasesOptions & QueueReports = {},
): TransferLeases {
  const { lockMs = COPY_QUEUE.lockMs } = options;
  const link = new RedisLink(connection, { patient: false, purpose: 'transfers' }, options);
  let quietUntilMs = 0;

  const ask = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    const startedMs = performance.now();
    if (startedMs < quietUntilMs) return undefined;
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const answer = await within(call(), TIMEOUT_MS - (performance.now() - startedMs));
        if (!answer.late) return answer.value;
      }
    } catch (error) {
      options.log?.debug('transfer leases cannot be asked', { error });
    }
    quietUntilMs = performance.now() + QUIET_MS;
    options.missed?.('transfers');
    return undefined;
  };

  /** Nobody waits for what is said: it is lost with Redis away, and keeps nobody from asking. */
  const say = async (call: () => Promise<unknown>, patienceMs: number): Promise<void> => {
    try {
      if (await link.readyWithin(patienceMs)) await within(call(), TIMEOUT_MS);
    } catch (error) {
      options.log?.debug('transfer leases cannot be told', { error });
    }
  };

  return {
    lockMs,
    async claim(key, { address, spool }, dead): Promise<LeaseClaim | undefined> {
      const args = [address, lockMs, dead ?? '', NOTE_MS, spool];
      const answer = await ask(() => link.client.eval(CLAIM, 4, ...keysOf(key), ...args));
      if (answer === undefined) return undefined;
      const [owner, landed, spools, reached] = answer as [string, number, string[], (string | null)[]];
      const upTo = (of: string): number => Number(reached[spools.indexOf(of)] ?? 0);
      const before = formerOwners(spools, spool).map((of) => ({ spool: of, upTo: upTo(of) }));
      return { owner, landed: landed === 1, before };
    },
    async reached(key, spool, upTo) {
      const [, , , reached] = keysOf(key);
      await say(() => link.client.multi().hset(reached, spool, upTo).pexpire(reached, NOTE_MS).exec(), 0);
    },
    async settle(spool, address) {
      // Said again by then.
      if (address !== undefined)
        await say(() => link.client.set(spoolKey(spool), address, 'PX', lockMs), lockMs / SAID_PER_LOCK);
      else await say(() => link.client.del(spoolKey(spool)), 0);
    },
    whereIs: async (spool) => (await ask(() => link.client.get(spoolKey(spool)))) ?? undefined,
    async release(key, address, end) {
      await ask(() => link.client.eval(RELEASE, 4, ...keysOf(key), address, end, LANDED_MS));
    },
    async note(key, text) {
      await ask(async () => {
        if (text === undefined) await link.client.del(noteKey(key));
        else await link.client.set(noteKey(key), text, 'PX', NOTE_MS);
      });
    },
    noted: async (key) => (await ask(() => link.client.get(noteKey(key)))) ?? undefined,
    close() {
      link.close();
      return Promise.resolve();
    },
  };
}

const keysOf = (key: string): [owner: string, landed: string, spools: string, reached: string] => [
  `kuik:transfer:${key}`,
  `kuik:transfer-landed:${key}`,
  `kuik:transfer-spools:${key}`,
  `kuik:transfer-reached:${key}`,
];
const spoolKey = (spool: string): string => `kuik:transfer-spool-at:${spool}`;
const noteKey = (key: string): string => `kuik:transfer-note:${key}`;
