import { within } from '../bounded.ts';
import { floorWaitMs, foldWord, resetAtOf } from '../host-quota.ts';
import { LocalParks, paceOf, payerKey, payerOf } from '../pace.ts';
import { NO_PLACE, PLACE_LOCK_MS, takePlace } from '../places.ts';
import { PARKS_FORGOTTEN_MS, parkLengths } from '../park-length.ts';
import type {
  FloorOptions,
  KnownQuota,
  Missed,
  Pacer,
  PacerOptions,
  Payer,
  PayerFacts,
  QueueReports,
} from '../port.ts';
import { QueueError } from '../queue-error.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';
import { ENTER, LIMITED, PARK, PARKED, SPEND, TAKE } from './pace-scripts.ts';

const TIMEOUT_MS = 1_000;
const PREFIX = 'kuik';
const PAYERS_KEY = `${PREFIX}:payers`;
const PAYERS_MAX = 500;
/** Identities remembered per payer: each node may have an address of its own. */
const IDENTITIES_MAX = 500;

/** The pace of each payer, and what its host said of its limits, in Redis. */
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

  const floorMs = async (payer: string, { floor = 0 }: FloorOptions): Promise<number> => {
    if (floor <= 0) return 0;
    const kept = await ask('quota', () => client.hgetall(quotaKey(payer)));
    return kept === undefined ? 0 : floorWaitMs(readQuotas(kept), floor, Date.now());
  };
  const keysOf = (payer: string): string[] => [parkKey(payer), bucketKey(payer), PAYERS_KEY];
  const valuesOf = (payer: string, reason: string) => [reason, payer, PARKS_FORGOTTEN_MS, PAYERS_MAX];

  return {
    async take(of, floor = {}) {
      const payer = payerKey(of);
      const heldMs = await floorMs(payer, floor);
      if (heldMs > 0) return Math.max(heldMs, parks.leftMs(payer, Date.now()));
      const { perSecond, burst } = paceOf(options, of.host);
      const waitMs = await evaluate('take', TAKE, [bucketKey(payer), parkKey(payer)], [perSecond / 1000, burst]);
      return Math.max(Number(waitMs ?? 0), parks.leftMs(payer, Date.now()));
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
    async park(of, untilMs, reason) {
      const payer = payerKey(of);
      const now = Date.now();
      if (!(untilMs > now)) return;
      parks.park(payer, untilMs, now, reason);
      await evaluate('park', PARK, keysOf(payer), [...valuesOf(payer, reason), Math.ceil(untilMs - now)]);
    },
    async limited(of, { retryAfterMs, reason }) {
      const payer = payerKey(of);
      const lengths = parkLengths(retryAfterMs, Math.random());
      const values = [...valuesOf(payer, reason), retryAfterMs ?? 0, ...lengths];
      const told = await evaluate('park', LIMITED, keysOf(payer), values);
      const now = Date.now();
      const ownMs = parks.leftMs(payer, now);
      const alone = ownMs > 0 && (retryAfterMs ?? 0) <= ownMs ? ownMs : lengths[0]!;
      const ms = Number(told ?? alone);
      parks.park(payer, now + ms, now, reason);
      return ms;
    },
    async parkedUntil(of, floor = {}) {
      const payer = payerKey(of);
      const shared = Number((await evaluate('parkedUntil', PARKED, [parkKey(payer)], [])) ?? 0);
      const left = Math.max(parks.leftMs(payer, Date.now()), shared, await floorMs(payer, floor));
      return left > 0 ? Date.now() + left : undefined;
    },
    async told(of, word, { background = false } = {}) {
      const payer = payerKey(of);
      await ask('quota', async () => {
        const key = quotaKey(payer);
        const [kept, identities] = await Promise.all([client.hget(key, word.identity), client.hlen(key)]);
        const next = foldWord(readQuota(kept), word, background, Date.now());
        const full = kept === null && identities >= IDENTITIES_MAX;
        if (full) await client.del(key);
        await client
          .pipeline()
          .hset(key, word.identity, JSON.stringify(next))
          .pexpireat(key, Math.ceil(resetAtOf(next)))
          .zadd(PAYERS_KEY, Date.now(), payer)
          .zremrangebyrank(PAYERS_KEY, 0, -1 - PAYERS_MAX)
          .exec();
      });
    },
    async spent(of, requests) {
      const { perSecond, burst } = paceOf(options, of.host);
      await evaluate('quota', SPEND, [bucketKey(payerKey(of))], [perSecond / 1000, burst, requests]);
    },
    async facts() {
      const found = await ask('quota', async () => {
        const payers = await client.zrange(PAYERS_KEY, 0, -1);
        return Promise.all(
          payers.map(async (payer) => {
            const [left, why, quotas] = await Promise.all([
              client.eval(PARKED, 1, parkKey(payer)),
              client.hget(parkKey(payer), 'reason'),
              client.hgetall(quotaKey(payer)),
            ]);
            return factsOf(payerOf(payer), Number(left), why, readQuotas(quotas));
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

function factsOf(payer: Payer, leftMs: number, why: string | null, quotas: KnownQuota[]): PayerFacts {
  if (leftMs <= 0) return { ...payer, quotas };
  return { ...payer, quotas, parkedUntilMs: Date.now() + leftMs, ...(why === null ? {} : { why }) };
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

const bucketKey = (payer: string): string => `${PREFIX}:pace:${payer}`;
const placesKey = (host: string): string => `${PREFIX}:places:${host}`;
const parkKey = (payer: string): string => `${PREFIX}:park:${payer}`;
const quotaKey = (payer: string): string => `${PREFIX}:quota:${payer}`;
