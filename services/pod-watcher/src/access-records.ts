import type { Bucket } from '@kuik/bus';
import { type AccessRecord, accessRecordKey } from '@kuik/contracts';
import type { Logger } from '@kuik/runtime';
import type { Said } from './access-verdict.ts';

const KEPT = 20_000;
const READ_TIMEOUT_MS = 500;

/**
 * What upstream said of who may pull, in memory, and in a bucket that the other replicas and the next ones read: a replica that starts while
 * upstream is down knows what was proven before. Without NATS each replica goes by its own memory.
 */
export class AccessRecords {
  readonly #bucket: Pick<Bucket<AccessRecord>, 'get' | 'put'>;
  readonly #log: Logger;
  readonly #memory = new Map<string, Said>();

  constructor(bucket: Pick<Bucket<AccessRecord>, 'get' | 'put'>, log: Logger) {
    this.#bucket = bucket;
    this.#log = log;
  }

  /** What is known here; `fresh` asks the bucket, too, and takes the newer of each. Never throws. */
  async of(repository: string, whose: string, { fresh }: { fresh: boolean }): Promise<Said> {
    const key = accessRecordKey(repository, whose);
    const known = this.#memory.get(key) ?? {};
    if (!fresh) return known;
    try {
      const stored = (await this.#bucket.get(key, { timeoutMs: READ_TIMEOUT_MS }))?.value;
      // Another name under the same key would be a hash collision: it says nothing of ours.
      if (stored === undefined || stored.repository !== repository || stored.of !== whose) return known;
      const merged = { proven: later(known.proven, stored.proven), refused: later(known.refused, stored.refused) };
      this.#remember(key, merged);
      return merged;
    } catch (error) {
      this.#log.debug('access records cannot be read', { error });
      return known;
    }
  }

  /** Upstream's answer. Never throws: memory has it at once. */
  async say(repository: string, whose: string, word: 'proven' | 'refused', now: number): Promise<Said> {
    const key = accessRecordKey(repository, whose);
    const said: Said = { ...this.#memory.get(key), [word]: now };
    this.#remember(key, said);
    try {
      const { proven, refused } = said;
      await this.#bucket.put(key, {
        repository,
        of: whose,
        ...(proven === undefined ? {} : { proven }),
        ...(refused === undefined ? {} : { refused }),
      });
    } catch (error) {
      this.#log.debug('access record not shared', { error });
    }
    return said;
  }

  #remember(key: string, said: Said): void {
    this.#memory.delete(key);
    this.#memory.set(key, said);
    if (this.#memory.size > KEPT) this.#memory.delete(this.#memory.keys().next().value!);
  }
}

function later(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}
