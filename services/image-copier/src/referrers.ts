import { ReferrersRound, type RepositoryClient } from '@kuik/registry';

/** A registry that had no referrers API is not asked by it again for so long; nor is a repository for a list of its tags that could not be had. */
export const NO_API_FOR_MS = 60 * 60_000;
/** What is about an image does not hold the image back for longer, nor does what is about the manifests below it. */
const WITHIN_MS = 60_000;
const REMEMBERED_MAX = 1_000;

/** Rounds that copy what refers to images; remembers which hosts have no API for that, and which repositories do not list their tags. */
export class ReferrersCopy {
  readonly #now: () => number;
  /** By host, and by `host/repository`. */
  readonly #withoutApiUntil = new Map<string, number>();
  readonly #unlistedUntil = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A round for one image; `tag`: one that the source has. */
  begin({
    source,
    to,
    tag,
  }: {
    source: RepositoryClient;
    to: RepositoryClient;
    tag?: string | undefined;
  }): ReferrersRound {
    const repository = `${source.host}/${source.repository}`;
    return new ReferrersRound({
      source,
      target: to,
      withApi: this.#isOver(this.#withoutApiUntil, source.host),
      onNoApi: () => this.#remember(this.#withoutApiUntil, source.host),
      witness: this.#isOver(this.#unlistedUntil, repository) ? tag : undefined,
      onUnlisted: () => this.#remember(this.#unlistedUntil, repository),
      withinMs: WITHIN_MS,
    });
  }

  #isOver(until: ReadonlyMap<string, number>, name: string): boolean {
    return (until.get(name) ?? -Infinity) <= this.#now();
  }

  #remember(until: Map<string, number>, name: string): void {
    if (until.size >= REMEMBERED_MAX) until.clear();
    until.set(name, this.#now() + NO_API_FOR_MS);
  }
}
