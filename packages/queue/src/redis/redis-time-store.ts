import type { TimeStore } from '../port.ts';
import type { RedisLink } from './redis-link.ts';

const TIMEOUT_MS = 2000;
const PAGE = 500;

/** Sets each field to the later of its two times. ARGV: id, time, id, time... */
const RECORD = `
for i = 1, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '-1') then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end`;

/** Times of one kind, in the hash `kuik:time:<kind>`. Asked in pages: Redis does one thing at a time. */
export class RedisTimeStore implements TimeStore {
  readonly #link: RedisLink;
  readonly #key: string;

  constructor(link: RedisLink, kind: string) {
    this.#link = link;
    this.#key = `kuik:time:${kind}`;
  }

  async get(ids: readonly string[]): Promise<Map<string, number>> {
    const times = new Map<string, number>();
    for (const page of pages(ids)) {
      const found = await this.#link.call('read times', TIMEOUT_MS, (redis) => redis.hmget(this.#key, ...page));
      page.forEach((id, index) => found[index] != null && times.set(id, Number(found[index])));
    }
    return times;
  }

  async all(): Promise<Map<string, number>> {
    const times = new Map<string, number>();
    let cursor = '0';
    do {
      const at = cursor;
      const [next, found] = await this.#link.call('read times', TIMEOUT_MS, (redis) =>
        redis.hscan(this.#key, at, 'COUNT', PAGE),
      );
      for (let index = 0; index < found.length; index += 2) times.set(found[index]!, Number(found[index + 1]));
      cursor = next;
    } while (cursor !== '0');
    return times;
  }

  async record(times: ReadonlyMap<string, number>): Promise<void> {
    for (const page of pages([...times])) {
      const fields = page.flatMap(([id, time]) => [id, Math.round(time)]);
      await this.#link.call('record times', TIMEOUT_MS, (redis) => redis.eval(RECORD, 1, this.#key, ...fields));
    }
  }

  async remove(ids: readonly string[]): Promise<void> {
    for (const page of pages(ids))
      await this.#link.call('remove times', TIMEOUT_MS, (redis) => redis.hdel(this.#key, ...page));
  }
}

function* pages<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let index = 0; index < all.length; index += PAGE) yield all.slice(index, index + PAGE);
}
