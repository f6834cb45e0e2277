import type { ImageUsed } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';

/**
 * A pod that was admitted and not stored shows up nowhere: after this long its hint is forgotten. Longer than a watch may be silent and still
 * count as alive (`staleAfterMs`, 150 s): while holders are confirmed, what was admitted is seen or remembered.
 */
const HINT_MS = 180_000;
const HINTS_MAX = 10_000;

/**
 * Images of pods that the webhook admitted a moment ago, which no watch may have shown yet: gc takes nothing of them away, and what it took
 * is copied again at once. Whether the pod is stored is for quota and validation to say: nothing is created because of a hint.
 */
export class HintBook {
  readonly #now: () => number;
  readonly #hints = new Map<string, { readonly until: number; readonly requestId: string }>();

  /** `now` is monotonic, ms: a wall clock that jumps forgets nobody. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes a hint in; returns the images (canonical text) that it is about. */
  take(hint: ImageUsed): string[] {
    const images: string[] = [];
    for (const text of hint.images) {
      const reference = tryParseReference(text);
      if (reference === undefined) continue;
      const image = formatReference(reference);
      this.#hints.delete(image);
      this.#hints.set(image, { until: this.#now() + HINT_MS, requestId: hint.requestId });
      images.push(image);
    }
    for (const image of this.#hints.keys()) {
      if (this.#hints.size <= HINTS_MAX) break;
      this.#hints.delete(image);
    }
    return images;
  }

  /** The request that a pod of this image was admitted by. */
  expected(image: string): { readonly requestId: string } | undefined {
    const hint = this.#hints.get(image);
    if (hint === undefined || hint.until > this.#now()) return hint;
    this.#hints.delete(image);
    return undefined;
  }
}
