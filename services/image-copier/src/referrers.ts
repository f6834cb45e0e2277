import { copyReferrers, type CopiedReferrers, type RepositoryClient } from '@kuik/registry';

/** A registry that had no referrers API is not asked by it again for so long. */
export const NO_API_FOR_MS = 60 * 60_000;
/** What is about an image does not hold the image back for longer. */
const WITHIN_MS = 60_000;
const HOSTS_MAX = 1_000;

/** Copies what refers to images, and remembers which hosts have no API for that. */
export class ReferrersCopy {
  readonly #now: () => number;
  readonly #withoutApiUntil = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Never throws but when `signal` aborts. */
  async of(
    subject: string,
    { source, to, signal }: { source: RepositoryClient; to: RepositoryClient; signal: AbortSignal },
  ): Promise<CopiedReferrers> {
    const within = AbortSignal.timeout(WITHIN_MS);
    try {
      return await copyReferrers({
        source,
        target: to,
        subject,
        withApi: (this.#withoutApiUntil.get(source.host) ?? -Infinity) <= this.#now(),
        onNoApi: () => this.#remember(source.host),
        signal: AbortSignal.any([signal, within]),
      });
    } catch (error) {
      if (signal.aborted || !within.aborted) throw error;
      return { count: 0, problem: `what refers to the image could not be copied within ${WITHIN_MS / 1000} s` };
    }
  }

  #remember(host: string): void {
    if (this.#withoutApiUntil.size >= HOSTS_MAX) this.#withoutApiUntil.clear();
    this.#withoutApiUntil.set(host, this.#now() + NO_API_FOR_MS);
  }
}
