import type { CachedImage } from '@kuik/contracts';
import type { Verdict } from './verdict.ts';

/** Repositories in a row that the cache fails on: it is the registry then, and no other is tried. */
const FAILING_MAX = 3;
/** A removal that waits for what may take days is looked at so often: each look reads the claims of all resources. */
const WAIT_MS = 60_000;

/** An image that is to go, and by which verdict. */
export interface Due {
  readonly image: CachedImage;
  readonly verdict: Pick<Verdict, 'do'>;
}

/**
 * Whose turn it is in a round of removals: those that wait come after those that do not, and those that failed after these, the longest ago first, so
 * that they hold up none of the others; the rest of a repository that failed is left for the next round.
 */
export class RemovalTurns {
  /** Images (uid) whose last removal failed, the longest ago first. */
  readonly #failed = new Set<string>();
  /** When those that wait (uid) are looked at again. */
  readonly #waiting = new Map<string, number>();
  /** Repositories that failed in this round. */
  readonly #failing = new Set<string>();
  #inARow = 0;

  /** Begins a round: who has a turn in it, in this order. `now` is monotonic, in milliseconds. */
  begin<T extends Due>(due: readonly T[], now: number): T[] {
    this.#failing.clear();
    this.#inARow = 0;
    const uids = new Set(due.map(({ image }) => image.metadata.uid));
    for (const known of [this.#failed, this.#waiting])
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid);
    const place = new Map([...this.#failed].map((uid, index) => [uid, index]));
    const placeOf = ({ image }: T) => place.get(image.metadata.uid) ?? -1;
    const lookAt = ({ image }: T) => this.#waiting.get(image.metadata.uid) ?? 0;
    return due
      .filter((one) => one.verdict.do === 'release' || now >= lookAt(one))
      .sort((a, b) => placeOf(a) - placeOf(b) || lookAt(a) - lookAt(b));
  }

  /** Whether a repository is left for the next round. */
  left(repository: string): boolean {
    return this.#failing.has(repository);
  }

  succeeded(uid: string): void {
    this.#failed.delete(uid);
    this.#waiting.delete(uid);
    this.#inARow = 0;
  }

  /** Its removal waits. Returns whether that is news. */
  waits(uid: string, now: number): boolean {
    const news = !this.#waiting.has(uid);
    this.#waiting.set(uid, now + WAIT_MS);
    this.#inARow = 0;
    return news;
  }

  /** The cache failed on it. Returns whether that is news, and whether it is the registry as a whole. */
  failed(uid: string, repository: string): { news: boolean; all: boolean } {
    const news = !this.#failed.delete(uid);
    this.#failed.add(uid);
    this.#failing.add(repository);
    this.#inARow += 1;
    return { news, all: this.#inARow >= FAILING_MAX };
  }
}
