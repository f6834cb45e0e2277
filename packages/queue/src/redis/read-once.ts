import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../bounded.ts';
import { payerKey } from '../pace.ts';
import type { OnceBytes, QueueReports, ReadOnce } from '../port.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

const TIMEOUT_MS = 1_000;
/** A reader silent for this long is not waited for. */
const LOCK_MS = 10_000;
const LOOK_MS = 25;
/** Longer than most copies take: afterwards the cache has it. */
const REMEMBER_MS = 3_600_000;
const BYTES_MAX = 512 * 1024;

/** KEYS: lock. ARGV: token. */
const UNLOCK = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** Small content that is to be read once by all processes together, in Redis under `kuik:once:<key>`. */
export function createReadOnce(connection: RedisSettings, reports: QueueReports = {}): ReadOnce {
  const link = new RedisLink(connection, { patient: false, purpose: 'read once' }, reports);
  const { client } = link;
  const underWay = new Map<string, { readonly payer: string; readonly found: Promise<OnceBytes> }>();

  const ask = async <R>(call: () => Promise<R>): Promise<{ known: false } | { known: true; value: R }> => {
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const answer = await within(call(), TIMEOUT_MS);
        if (!answer.late) return { known: true, value: answer.value };
      }
    } catch (error) {
      reports.log?.debug('nothing is shared', { error });
    }
    reports.missed?.('once');
    return { known: false };
  };
  const remembered = async (key: string): Promise<OnceBytes | undefined> => {
    const kept = await ask(() => client.hgetallBuffer(bytesKey(key)));
    const { type, bytes } = kept.known ? kept.value : {};
    return type === undefined || bytes === undefined ? undefined : { mediaType: type.toString('utf8'), bytes };
  };
  const read = async (key: string, fetch: () => Promise<OnceBytes>): Promise<OnceBytes> => {
    const found = await fetch();
    if (found.bytes.length <= BYTES_MAX) {
      const fields = { type: found.mediaType, bytes: found.bytes };
      await ask(() => client.multi().hset(bytesKey(key), fields).pexpire(bytesKey(key), REMEMBER_MS).exec());
    }
    return found;
  };

  /** Somebody else's read, or one of our own as soon as nobody else is at it. */
  const together = async (
    key: string,
    fetch: () => Promise<OnceBytes>,
  ): Promise<{ mine: boolean; found: OnceBytes }> => {
    const token = randomUUID();
    const deadline = performance.now() + LOCK_MS;
    for (;;) {
      const found = await remembered(key);
      if (found !== undefined) return { mine: false, found };
      const lock = await ask(() => client.set(lockKey(key), token, 'PX', LOCK_MS, 'NX'));
      if (!lock.known || lock.value === 'OK' || performance.now() > deadline) {
        try {
          // Between our look and our lock it may have come.
          const late = lock.known ? await remembered(key) : undefined;
          return late === undefined ? { mine: true, found: await read(key, fetch) } : { mine: false, found: late };
        } finally {
          if (lock.known) await ask(() => client.eval(UNLOCK, 1, lockKey(key), token));
        }
      }
      await sleep(LOOK_MS);
    }
  };

  return {
    async read(key, of, fetch) {
      const payer = payerKey(of);
      const running = underWay.get(key);
      if (running !== undefined) {
        // What was refused to another may not be refused to us: neither its right nor its quota is ours. What may pass has not passed yet.
        const found = await running.found.catch((error: unknown) => {
          if (running.payer === payer && (error as { retry?: unknown } | null)?.retry === true) throw error;
        });
        if (found !== undefined) return { mine: false, ...found };
      }
      const asked = together(key, fetch);
      const shared = { payer, found: asked.then(({ found }) => found) };
      shared.found.catch(() => undefined);
      underWay.set(key, shared);
      try {
        const { mine, found } = await asked;
        return { mine, ...found };
      } finally {
        if (underWay.get(key) === shared) underWay.delete(key);
      }
    },
    async close() {
      link.close();
      await Promise.resolve();
    },
  };
}

const bytesKey = (key: string): string => `kuik:once:${key}`;
const lockKey = (key: string): string => `kuik:once-lock:${key}`;
