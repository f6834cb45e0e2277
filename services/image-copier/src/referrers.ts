import { ReferrersRound, type CopyResult as Copied, type RepositoryClient } from '@kuik/registry';
import type { CopyResult } from './copy-stanza.ts';

/** A registry that had no referrers API is not asked by it again for so long; nor is a repository for a list of its tags that could not be had. */
export const NO_API_FOR_MS = 60 * 60_000;
/** What is about an image does not hold the image back for longer, nor does what is about the manifests below it. */
const WITHIN_MS = 60_000;
const REMEMBERED_MAX = 1_000;

/** Looks for what refers to one image while its blobs are copied: that takes requests, and hardly any bytes. */
export class ReferrersLooks {
  readonly #begin: () => ReferrersRound;
  readonly #signal: AbortSignal;
  readonly #begun = new Map<string, { round: ReferrersRound; found: Promise<unknown> }>();

  /** `begin`: a round for the image. */
  constructor(begin: () => ReferrersRound, signal: AbortSignal) {
    this.#begin = begin;
    this.#signal = signal;
  }

  /** Whether any look was begun. */
  get any(): boolean {
    return this.#begun.size > 0;
  }

  /** Begins to look for what refers to the root, unless that was begun; nobody has to wait for it. */
  begin(digest: string): void {
    void this.#of(digest).found.catch(() => undefined);
  }

  /** What refers to the root and to the manifests below it; the cache has those by then, since what refers to one of them may be another one. */
  async all({
    digest,
    manifests,
  }: Copied): Promise<Required<Pick<CopyResult, 'looked'>> & Pick<CopyResult, 'referrers'>> {
    const { round, found } = this.#of(digest);
    await found;
    const referrers = await round.below(manifests, this.#signal);
    const { requests, failure } = round;
    return { referrers, looked: { requests, ...(failure === undefined ? {} : { failure }) } };
  }

  #of(digest: string): { round: ReferrersRound; found: Promise<unknown> } {
    const begun = this.#begun.get(digest);
    if (begun !== undefined) return begun;
    const round = this.#begin();
    const look = { round, found: round.of(digest, this.#signal) };
    this.#begun.set(digest, look);
    return look;
  }
}

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
