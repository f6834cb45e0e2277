/**
 * What copies into one registry tell each other of its blobs, those of one upstream host: where one is, and who brings one right now.
 * Advice only: a wrong place costs a request, and a copy that is told nothing goes on by itself. The queue package has it over Redis.
 */
export interface BlobTurns {
  /** Repositories to look in (none of `except`), or the turn to bring the blob; may wait while another copy brings it. */
  take(digest: string, options: { size?: number; except: readonly string[]; signal: AbortSignal }): Promise<BlobTurn>;
  /** The repository holds the blob. */
  landed(digest: string, repository: string, size?: number): void;
}

export type BlobTurn =
  | { readonly do: 'look'; readonly in: readonly string[] }
  /** `end` is called once, with the repository that holds the blob now or without one. */
  | { readonly do: 'bring'; end(landedIn?: string): Promise<void> };

/** For a copy that is alone: nothing is known, and every turn is its own. */
export const ALONE: BlobTurns = {
  take: () => Promise.resolve({ do: 'bring', end: () => Promise.resolve() }),
  landed: () => undefined,
};
