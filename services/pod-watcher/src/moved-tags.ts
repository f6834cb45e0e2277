import { type CachedImage, stanzaOf, type TagMoved } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import type { Logger } from '@kuik/runtime';
import { imageIdentity } from './identity.ts';

/** The same move is told by every node that pulls; a copy is asked for at most this often. */
const EVERY_MS = 30_000;
const KEPT_MAX = 10_000;

interface Moved {
  readonly digest: string;
  readonly sentAt: number;
  /** The copy that was there when somebody was sent. */
  readonly sentAfter?: string | undefined;
}

/** Tags that nodes saw on another digest than the one that is cached. What was forgotten, the next pull tells again. */
export class MovedTags {
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #moved = new Map<string, Moved>();

  /** `now`: monotonic ms. */
  constructor({ now, log }: { now: () => number; log: Logger }) {
    this.#now = now;
    this.#log = log;
  }

  /** Takes a hint in; returns the image (canonical text) that is to be looked at. */
  take({ reference, digest, node }: TagMoved): string | undefined {
    const parsed = tryParseReference(reference);
    if (parsed?.tag === undefined || parsed.digest !== undefined) return undefined;
    const image = formatReference(parsed);
    const before = this.#moved.get(image);
    const { sentAt = -Infinity, sentAfter } = before ?? {};
    if (before?.digest !== digest) this.#log.info('tag moved', { image, digest, node });
    this.#moved.delete(image);
    this.#moved.set(image, { digest, sentAt, ...(before?.digest === digest ? { sentAfter } : {}) });
    for (const oldest of this.#moved.keys()) {
      if (this.#moved.size <= KEPT_MAX) break;
      this.#moved.delete(oldest);
    }
    return image;
  }

  /** The cache holds another digest than the one that was told of, and nobody was sent for a while. */
  wants(image: CachedImage): boolean {
    const moved = this.#moved.get(imageIdentity(image));
    const { digest: cached, copiedAt } = stanzaOf(image, 'cache') ?? {};
    if (moved === undefined || cached === undefined) return false;
    // Copied since somebody was sent: when that is another digest again, upstream had moved on.
    const answered = cached === moved.digest || (moved.sentAfter !== undefined && moved.sentAfter !== copiedAt);
    if (answered) this.#moved.delete(imageIdentity(image));
    return !answered && moved.sentAt + EVERY_MS <= this.#now();
  }

  /** Somebody was sent to copy it. */
  sent(image: CachedImage): void {
    const moved = this.#moved.get(imageIdentity(image));
    if (moved === undefined) return;
    const sentAfter = stanzaOf(image, 'cache')?.copiedAt ?? '';
    this.#moved.set(imageIdentity(image), { ...moved, sentAt: this.#now(), sentAfter });
  }
}
