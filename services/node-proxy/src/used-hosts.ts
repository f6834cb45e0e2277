import type { AccessVerdict } from '@kuik/contracts';
import { inTime } from '@kuik/runtime';
import type { AccessVerdicts } from './access-verdicts.ts';
import { PullFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface UsedHostsOptions {
  readonly verdicts: Pick<AccessVerdicts, 'ofHost'>;
  /** A name was refused, since nobody uses anything of its registry. */
  readonly onRefused: (name: string, requestId: string) => void;
  /** Epoch ms. */
  readonly now: () => number;
}

const REMEMBERED = 1_000;
/** A pull waits no longer for the word on a registry that was not heard of before, and is served then. */
const PATIENCE_MS = 2_000;
/** While nobody can say. */
const ASKED_AGAIN_MS = 30_000;

/** Which registries may be asked: those of which a pod or a resource names something, and any while nobody can say. */
export class UsedHosts {
  readonly #options: UsedHostsOptions;
  /** Hosts that passed, and when to ask about them again. */
  readonly #passed = new WeightedLru<number>(REMEMBERED);

  constructor(options: UsedHostsOptions) {
    this.#options = options;
  }

  /**
   * Of what a name may mean, what may be served: at once when all of it was served before. Rejects with PullFailure when nobody uses anything of
   * its registries.
   */
  of(
    name: string,
    meanings: readonly Repository[],
    requestId: string,
  ): readonly Repository[] | Promise<readonly Repository[]> {
    const known = meanings.map(({ host }) => this.#passed.get(host));
    if (known.includes(undefined)) return this.#ask(name, meanings, requestId);
    const now = this.#options.now();
    for (const [index, repository] of meanings.entries())
      if (known[index]! <= now) void this.#verdictOn(repository, requestId);
    return meanings;
  }

  async #ask(name: string, meanings: readonly Repository[], requestId: string): Promise<readonly Repository[]> {
    const verdicts = await Promise.all(
      meanings.map((repository) => inTime(PATIENCE_MS, this.#verdictOn(repository, requestId))),
    );
    const served = meanings.filter((_, index) => verdicts[index]!.late || verdicts[index]!.value !== 'denied');
    if (served.length > 0) return served;
    this.#options.onRefused(name, requestId);
    throw new PullFailure('hostNotUsed', `${name} is not served: nobody uses anything of ${meanings[0]!.host}`);
  }

  /** Remembered when it lets pass. */
  async #verdictOn(repository: Repository, requestId: string): Promise<AccessVerdict['verdict']> {
    const { verdicts, now } = this.#options;
    const { host } = repository;
    const { verdict, until } = await verdicts.ofHost(repository, requestId);
    if (verdict === 'denied') this.#passed.delete(host);
    else this.#passed.set(host, verdict === 'allowed' ? until : now() + ASKED_AGAIN_MS);
    return verdict;
  }
}
