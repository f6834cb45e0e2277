import type { Bucket } from '@kuik/bus';
import { type AccessRecord, accessRecordKey, type AccessVerdict, ANYONE, CLUSTER, provenUntil } from '@kuik/contracts';
import { repositoryName } from '@kuik/image';
import type { Repository } from './pull-path.ts';
import type { Who } from './access-verdicts.ts';

const READ_TIMEOUT_MS = 500;
/** Of a verdict that rests on what the broker wrote down, not on its word. */
export const RECORDED_PROOF = 'RecordedProof';

/** What upstream confirmed lately, of anyone, of a credential for the cluster, of the one who asks. */
export interface RecordedRights {
  readonly anyone: AccessRecord | undefined;
  readonly cluster: AccessRecord | undefined;
  readonly own: AccessRecord | undefined;
}

/**
 * The verdict that follows from records alone, while the broker cannot be asked: what was confirmed, and not refused since, counts for the
 * grace. `until` is when that is over. Undefined: they say nothing, which is no refusal.
 */
export function recordedVerdict(
  { anyone, cluster, own }: RecordedRights,
  graceMs: number,
  now: number,
): AccessVerdict | undefined {
  for (const record of [anyone, cluster, own]) {
    const until = provenUntil(record ?? {}, graceMs);
    if (until > now) return { verdict: 'allowed', reason: RECORDED_PROOF, public: record === anyone, until };
  }
  return undefined;
}

/** Looks up what the broker wrote down: a proxy that began while the broker is away knows nothing else. */
export class RecordedAccess {
  readonly #bucket: Pick<Bucket<AccessRecord>, 'get'>;

  constructor(bucket: Pick<Bucket<AccessRecord>, 'get'>) {
    this.#bucket = bucket;
  }

  /** Never throws: what cannot be read is not known. */
  async of(who: Who, repository: Repository): Promise<RecordedRights> {
    const name = repositoryName(repository);
    const [anyone, cluster, own] = await Promise.all([
      this.#read(name, ANYONE),
      this.#read(name, CLUSTER),
      typeof who === 'string' ? undefined : this.#read(name, `${who.namespace}/${who.serviceAccount}`),
    ]);
    return { anyone, cluster, own };
  }

  async #read(repository: string, of: string): Promise<AccessRecord | undefined> {
    try {
      const found = (await this.#bucket.get(accessRecordKey(repository, of), { timeoutMs: READ_TIMEOUT_MS }))?.value;
      // Another name under the same key would be a collision of hashes.
      return found?.repository === repository && found.of === of ? found : undefined;
    } catch {
      return undefined;
    }
  }
}
