import { type CachedImage, DAMAGED_MAX, type ImageServed, stanzaOf } from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';
import type { Logger } from '@kuik/runtime';
import { holdingOf } from './cached.ts';
import type { ClusterView } from './cluster-view.ts';
import { imageIdentity } from './identity.ts';

export interface MissingContentParts {
  readonly view: Pick<ClusterView, 'imagesOfRepository'>;
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * A cache may lose what was brought back a moment ago. But what nodes go on missing may be nothing that a look brings: each look at the same image
 * is twice as long after the one before, up to the most; one that nobody missed for twice that begins anew.
 */
const FIRST_PAUSE_MS = 30_000;
const MOST_PAUSE_MS = 10 * 60_000;
/** A node's clock may be ahead: what was missed just before the copy was there says nothing of the copy. */
const SLACK_MS = 5_000;
const KEPT_MAX = 10_000;
const OTHERS_MAX = 50;

interface Missed {
  readonly missedAt: number;
  readonly sentAt: number;
  /** How soon after that somebody may be sent again. */
  readonly pauseMs: number;
  /** What else of the repository was missed in the same minute: platforms that were left on demand are among it. */
  readonly others: readonly string[];
  /** What nodes got with wrong bytes. */
  readonly wrong: readonly string[];
}

/**
 * Images that a node did not find whole in the cache, or with wrong bytes, although their resource says that they are there. Only a report: the
 * copier finds out what is missing, and what is wrong. In memory alone: the next pull tells again.
 */
export class MissingContentBook {
  readonly #parts: MissingContentParts;
  readonly #images = new Map<string, Missed>();

  constructor(parts: MissingContentParts) {
    this.#parts = parts;
  }

  /** Takes one proxy's report in; returns the images (canonical text) that somebody should look at. */
  take({ missing = [], node }: ImageServed): string[] {
    const { view, now, log } = this.#parts;
    const images: string[] = [];
    for (const { repository, digest, at, wrong = [] } of missing) {
      for (const image of view.imagesOfRepository(repository)) {
        if (!holdingOf(image).cached || !digestsOf(image).includes(digest)) continue;
        const { uid } = image.metadata;
        const {
          sentAt = -Infinity,
          pauseMs = 0,
          others: before = [],
          wrong: wrongBefore = [],
        } = this.#images.get(uid) ?? {};
        const beside = missing.filter((one) => one.repository === repository && one.digest !== digest);
        const others = [...new Set([...before, ...beside.map((one) => one.digest)])].slice(-OTHERS_MAX);
        this.#images.delete(uid);
        this.#images.set(uid, {
          missedAt: Math.min(Date.parse(at), now()),
          sentAt,
          pauseMs,
          others,
          wrong: [...new Set([...wrongBefore, ...wrong])].slice(-DAMAGED_MAX),
        });
        if (!this.wants(image)) continue;
        images.push(imageIdentity(image));
        log.warn('cache lacks what its resource says is there', {
          image: image.spec.sourceImage,
          digest,
          node,
          ...(wrong.length === 0 ? {} : { wrong }),
        });
      }
    }
    for (const uid of this.#images.keys()) {
      if (this.#images.size <= KEPT_MAX) break;
      this.#images.delete(uid);
    }
    return images;
  }

  /** It was missed since it was last copied, and nobody was sent for a while. */
  wants(image: CachedImage): boolean {
    const missed = this.#images.get(image.metadata.uid);
    if (missed === undefined || missed.sentAt + missed.pauseMs > this.#parts.now()) return false;
    return missed.missedAt > Date.parse(stanzaOf(image, 'cache')?.copiedAt ?? '') + SLACK_MS;
  }

  /** Somebody was sent to look. */
  sent({ metadata: { uid } }: CachedImage): void {
    const missed = this.#images.get(uid);
    if (missed === undefined) return;
    const sentAt = this.#parts.now();
    const anew = sentAt - missed.sentAt > 2 * MOST_PAUSE_MS;
    const pauseMs = anew ? FIRST_PAUSE_MS : Math.min(2 * missed.pauseMs, MOST_PAUSE_MS);
    this.#images.set(uid, { ...missed, sentAt, pauseMs, others: [], wrong: [] });
  }

  /** Manifests that nodes went past the cache for, beside the image's own: whoever is sent finds out which of them are the image's. */
  pulled({ metadata: { uid } }: CachedImage): readonly string[] {
    return this.#images.get(uid)?.others ?? [];
  }

  /** Manifests and blobs that nodes got from the cache with other bytes than their digest says: whoever is sent looks at them himself. */
  wrong({ metadata: { uid } }: CachedImage): readonly string[] {
    return this.#images.get(uid)?.wrong ?? [];
  }
}

/** The manifests that an image is served by. */
function digestsOf(image: CachedImage): (string | undefined)[] {
  const named = tryParseReference(image.spec.sourceImage)?.digest;
  return [stanzaOf(image, 'cache')?.digest, named, image.spec.pin];
}
