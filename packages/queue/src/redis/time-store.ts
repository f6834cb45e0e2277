import { within } from '../bounded.ts';
import type { QueueReports, TimeStore } from '../port.ts';
import { QueueError } from '../queue-error.ts';
import { RedisLink } from './connection.ts';
import type { RedisSettings } from './connection.ts';

const TIMEOUT_MS = 2_000;
/** Fields per command: keeps Redis responsive for others. */
const BATCH = 1_000;

/** Times in one Redis hash per kind, `kuik:time:<kind>`. */
export function createTimeStore(connection: RedisSettings, reports: QueueReports = {}): TimeStore {
  const link = new RedisLink(connection, { patient: false, purpose: 'times' }, reports);

  const ask = async <R>(call: () => Promise<R>): Promise<R> => {
    const startedMs = performance.now();
    let cause: unknown;
    try {
      if (await link.readyWithin(TIMEOUT_MS)) {
        const answer = await within(call(), TIMEOUT_MS - (performance.now() - startedMs));
        if (!answer.late) return answer.value;
      }
    } catch (error) {
      cause = error;
    }
    reports.missed?.('times');
    throw new QueueError('unavailable', 'Redis does not answer', { cause });
  };

  return {
    async get(kind, ids) {
      const times: (number | undefined)[] = [];
      for (const part of batches(ids)) {
        const values = await ask(() => link.client.hmget(keyOf(kind), ...part));
        times.push(...values.map((value) => (value === null ? undefined : Number(value))));
      }
      return times;
    },
    async set(kind, entries) {
      for (const part of batches([...entries]))
        await ask(() => link.client.hset(keyOf(kind), ...part.flatMap(([id, atMs]) => [id, atMs])));
    },
    async forget(kind, ids) {
      for (const part of batches(ids)) await ask(() => link.client.hdel(keyOf(kind), ...part));
    },
    async close() {
      link.close();
      await Promise.resolve();
    },
  };
}

const keyOf = (kind: string): string => `kuik:time:${kind}`;

function* batches<V>(values: readonly V[]): Generator<readonly V[]> {
  for (let from = 0; from < values.length; from += BATCH) yield values.slice(from, from + BATCH);
}
