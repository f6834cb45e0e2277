import { COPY_QUEUE } from '@kuik/contracts';
import { within } from '../bounded.ts';
import type { LeaseClaim, QueueReports, TransferLeases, TransferLeasesOptions } from '../port.ts';
import { RedisLink, type RedisSettings } from './connection.ts';

const TIMEOUT_MS = 500;
/** After a call in vain nobody waits for Redis for this long: a pull is waiting. */
const QUIET_MS = 2_000;
const NOTE_MS = 3_600_000;
const LANDED_MS = 60_000;

/** KEYS: owner, landed. ARGV: address, lock in ms, an owner that is dead or ''. Returns the owner's address, and whether it landed lately. */
const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] or owner == ARGV[3] then
  owner = ARGV[1]
  redis.call('SET', KEYS[1], owner, 'PX', ARGV[2])
end
return {owner, redis.call('EXISTS', KEYS[2])}`;

/** KEYS: owner, landed. ARGV: address, how long to remember that it landed in ms, or 0. */
const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[2], '1', 'PX', ARGV[2]) end
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

  return {
    lockMs,
    async claim(key, address, dead): Promise<LeaseClaim | undefined> {
      const answer = await ask(() =>
        link.client.eval(CLAIM, 2, ownerKey(key), landedKey(key), address, lockMs, dead ?? ''),
      );
      if (answer === undefined) return undefined;
      const [owner, landed] = answer as [string, number];
      return { owner, landed: landed === 1 };
    },
    async release(key, address, landed) {
      await ask(() => link.client.eval(RELEASE, 2, ownerKey(key), landedKey(key), address, landed ? LANDED_MS : 0));
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

const ownerKey = (key: string): string => `kuik:transfer:${key}`;
const landedKey = (key: string): string => `kuik:transfer-landed:${key}`;
const noteKey = (key: string): string => `kuik:transfer-note:${key}`;
