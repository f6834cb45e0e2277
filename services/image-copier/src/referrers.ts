import { copyReferrers, type CopiedReferrers, type RepositoryClient } from '@kuik/registry';

/** A registry that had no referrers API is not asked by it again for so long; nor is a repository for a list of its tags that could not be had. */
export const NO_API_FOR_MS = 60 * 60_000;
/** What is about an image does not hold the image back for longer. */
const WITHIN_MS = 60_000;
const REMEMBERED_MAX = 1_000;

/** Copies what refers to images, and remembers which hosts have no API for that, and which repositories do not list their tags. */
export class ReferrersCopy {
  readonly #now: () => number;
  /** By host, and by `host/repository`. */
  readonly #withoutApiUntil = new Map<string, number>();
  readonly #unlistedUntil = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** `tag`: one that the source has. Never throws but when `signal` aborts. */
  async of(
    subject: string,
    {
      source,
      to,
      tag,
      signal,
    }: { source: RepositoryClient; to: RepositoryClient; tag?: string | undefined; signal: AbortSignal },
  ): Promise<CopiedReferrers> {
    const within = AbortSignal.timeout(WITHIN_MS);
    const repository = `${source.host}/${source.repository}`;
    try {
      return await copyReferrers({
        source,
        target: to,
        subject,
        withApi: this.#isOver(this.#withoutApiUntil, source.host),
        onNoApi: () => this.#remember(this.#withoutApiUntil, source.host),
        witness: this.#isOver(this.#unlistedUntil, repository) ? tag : undefined,
        onUnlisted: () => this.#remember(this.#unlistedUntil, repository),
        signal: AbortSignal.any([signal, within]),
      });
    } catch (error) {
      if (signal.aborted || !within.aborted) throw error;
      return { count: 0, problem: `what refers to the image could not be copied within ${WITHIN_MS / 1000} s` };
    }
  }

  #isOver(until: ReadonlyMap<string, number>, name: string): boolean {
    return (until.get(name) ?? -Infinity) <= this.#now();
  }

  #remember(until: Map<string, number>, name: string): void {
    if (until.size >= REMEMBERED_MAX) until.clear();
    until.set(name, this.#now() + NO_API_FOR_MS);
  }
}
