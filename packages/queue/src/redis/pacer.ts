import { within } from '../bounded.ts';
import { floorWaitMs, foldWord, resetAtOf } from '../host-quota.ts';
import { LocalParks, paceOf } from '../pace.ts';
import { NO_PLACE, PLACE_LOCK_MS, takePlace } from '../places.ts';
import { PARKS_FORGOTTEN_MS, parkLengthMs } from '../park-length.ts';
import type { FloorOptions, HostFacts, KnownQuota, Missed, Pacer, PacerOptions, QueueReports } from '../port.ts';
import { QueueError } from '../queue-error.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';
import { ENTER, LIMITED, PARK, PARKED, SPEND, TAKE } from './pace-scripts.ts';

const TIMEOUT_MS = 1_000;
const PREFIX = 'kuik';
const HOSTS_KEY = `${PREFIX}:hosts`;
const HOSTS_MAX = 200;
/** Identities remembered per host: each node may have an address of its own. */
const IDENTITIES_MAX = 500;

/** The pace of each host, and what it said of its limits, in Redis. */
export function createPacer(connection: RedisSettings, options: PacerOptions & QueueReports = {}): Pacer {
  const link = new RedisLink(connection, { patient: false, purpose: 'pace' }, options);
  const parks = new LocalParks();
  const { client } = link;

  const ask = async <R>(what: Missed, call: () => Promise<R>): Promise<R | undefined> => {
    const startedMs = performance.now();
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const answer = await within(call(), TIMEOUT_MS - (performance.now() - startedMs));
        if (!answer.late) return answer.value;
      }
    } catch (error) {
      options.log?.debug('pace cannot be asked', { error });
    }
    options.missed?.(what);
    return undefined;
  };
  const evaluate = (what: Missed, script: string, keys: string[], values: (string | number)[]) =>
    ask(what, () => client.eval(script, keys.length, ...keys, ...values));

  const floorMs = async (host: string, { floor = 0 }: FloorOptions): Promise<number> => {
    if (floor <= 0) return 0;
    const kept = await ask('quota', () => client.hgetall(quotaKey(host)));
    return kept === undefined ? 0 : floorWaitMs(readQuotas(kept), floor, Date.now());
  };
  const park = async (host: string, ms: number, reason: string): Promise<void> => {
    const now = Date.now();
    if (!(ms > 0)) return;
    parks.park(host, now + ms, now, reason);
    const keys = [parkKey(host), bucketKey(host), HOSTS_KEY];
    await evaluate('park', PARK, keys, [Math.ceil(ms), reason, host, PARKS_FORGOTTEN_MS, HOSTS_MAX]);
  };

  return {
    async take(host, floor = {}) {
      const heldMs = await floorMs(host, floor);
      if (heldMs > 0) return Math.max(heldMs, parks.leftMs(host, Date.now()));
      const { perSecond, burst } = paceOf(options, host);
      const waitMs = await evaluate('take', TAKE, [bucketKey(host), parkKey(host)], [perSecond / 1000, burst]);
      return Math.max(Number(waitMs ?? 0), parks.leftMs(host, Date.now()));
    },
    async place(host, signal) {
      const { concurrency } = paceOf(options, host);
      if (concurrency === undefined) return NO_PLACE;
      const keys = [placesKey(host)];
      return takePlace(
        {
          enter: async (who) => (await evaluate('take', ENTER, keys, [who, concurrency, PLACE_LOCK_MS])) !== 0,
          leave: async (who) => void (await ask('take', () => client.zrem(placesKey(host), who))),
        },
        signal,
      );
    },
    park: (host, untilMs, reason) => park(host, untilMs - Date.now(), reason),
    async limited(host, { retryAfterMs, reason }) {
      const told = (await evaluate('park', LIMITED, [parkKey(host)], [PARKS_FORGOTTEN_MS])) as number[] | undefined;
      const [leftMs = parks.leftMs(host, Date.now()), times = 1] = told ?? [];
      // One of many that were under way when the host was parked: nothing new, unless the host says so.
      if (leftMs > 0 && (retryAfterMs ?? 0) <= leftMs) {
        parks.park(host, Date.now() + leftMs, Date.now(), reason);
        return leftMs;
      }
      const ms = parkLengthMs({ retryAfterMs, times }, Math.random());
      await park(host, ms, reason);
      return ms;
    },
    async parkedUntil(host, floor = {}) {
      const shared = Number((await evaluate('parkedUntil', PARKED, [parkKey(host)], [])) ?? 0);
      const left = Math.max(parks.leftMs(host, Date.now()), shared, await floorMs(host, floor));
      return left > 0 ? Date.now() + left : undefined;
    },
    async told(host, word, { background = false } = {}) {
      await ask('quota', async () => {
        const key = quotaKey(host);
        const [kept, identities] = await Promise.all([client.hget(key, word.identity), client.hlen(key)]);
        const next = foldWord(readQuota(kept), word, background, Date.now());
        const full = kept === null && identities >= IDENTITIES_MAX;
        if (full) await client.del(key);
        await client
          .pipeline()
          .hset(key, word.identity, JSON.stringify(next))
          .pexpireat(key, Math.ceil(resetAtOf(next)))
          .zadd(HOSTS_KEY, Date.now(), host)
          .zremrangebyrank(HOSTS_KEY, 0, -1 - HOSTS_MAX)
          .exec();
      });
    },
    async spent(host, requests) {
      const { perSecond, burst } = paceOf(options, host);
      await evaluate('quota', SPEND, [bucketKey(host)], [perSecond / 1000, burst, requests]);
    },
    async facts() {
      const found = await ask('quota', async () => {
        const hosts = await client.zrange(HOSTS_KEY, 0, -1);
        return Promise.all(
          hosts.map(async (host) => {
            const [left, why, quotas] = await Promise.all([
              client.eval(PARKED, 1, parkKey(host)),
              client.hget(parkKey(host), 'reason'),
              client.hgetall(quotaKey(host)),
            ]);
            return factsOf(host, Number(left), why, readQuotas(quotas));
          }),
        );
      });
      if (found === undefined) throw new QueueError('unavailable', 'Redis does not answer');
      return found;
    },
    async close() {
      link.close();
      await Promise.resolve();
    },
  };
}

function factsOf(host: string, leftMs: number, why: string | null, quotas: KnownQuota[]): HostFacts {
  if (leftMs <= 0) return { host, quotas };
  return { host, quotas, parkedUntilMs: Date.now() + leftMs, ...(why === null ? {} : { why }) };
}

function readQuotas(kept: Record<string, string>): KnownQuota[] {
  return Object.values(kept).flatMap((text) => readQuota(text) ?? []);
}

/** What an earlier version may have written differently counts as unknown. */
function readQuota(text: string | null): KnownQuota | undefined {
  if (text === null) return undefined;
  try {
    const quota = JSON.parse(text) as KnownQuota;
    return Number.isFinite(quota.atMs) && Number.isFinite(quota.sinceMs) ? quota : undefined;
  } catch {
    return undefined;
  }
}

const bucketKey = (host: string): string => `${PREFIX}:pace:${host}`;
const placesKey = (host: string): string => `${PREFIX}:places:${host}`;
const parkKey = (host: string): string => `${PREFIX}:park:${host}`;
const quotaKey = (host: string): string => `${PREFIX}:quota:${host}`;
