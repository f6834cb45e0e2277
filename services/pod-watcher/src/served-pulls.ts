import { type CachedImage, EVENT_REASONS, type ImageServed } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import type { EventRecorder } from '@kuik/kube';
import { imageIdentity } from './identity.ts';
import type { ResourceIndex } from './resource-index.ts';

/** Where exact times live (Redis); the resource shows them to the day. Losing it costs nothing else. */
export interface PullTimes {
  record(times: ReadonlyMap<string, number>): Promise<void>;
}

export interface ServedPullsParts {
  readonly images: ResourceIndex<CachedImage>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly times: PullTimes;
}

const KEPT_MAX = 100_000;

/** What the node proxies served: the last pull of each image, and an event when the cache answered for an upstream that could not. */
export class ServedPulls {
  readonly #parts: ServedPullsParts;
  readonly #lastPulled = new Map<string, number>();

  constructor(parts: ServedPullsParts) {
    this.#parts = parts;
  }

  /** Takes one proxy's window in; returns the images (canonical text) whose last pull is newer now. */
  async take(served: ImageServed): Promise<string[]> {
    const newer = new Map<string, number>();
    for (const { reference, lastPulled, stale } of served.images) {
      const parsed = tryParseReference(reference);
      if (parsed === undefined) continue;
      const image = formatReference(parsed);
      const at = Date.parse(lastPulled);
      if (at > (this.#lastPulled.get(image) ?? -Infinity)) {
        this.#lastPulled.delete(image);
        this.#lastPulled.set(image, at);
        newer.set(image, at);
      }
      if (stale > 0) this.#stale(image, served.node);
    }
    for (const image of this.#lastPulled.keys()) {
      if (this.#lastPulled.size <= KEPT_MAX) break;
      this.#lastPulled.delete(image);
    }
    if (newer.size > 0) await this.#parts.times.record(newer);
    return [...newer.keys()];
  }

  /** Epoch ms. */
  lastPulled(image: string): number | undefined {
    return this.#lastPulled.get(image);
  }

  #stale(image: string, node: string): void {
    const [object] = this.#parts.images.of(image);
    if (object === undefined) return;
    const message = `node ${node} was served from the cache because upstream could not answer for ${imageIdentity(object)}`;
    this.#parts.events.event(object, 'Warning', EVENT_REASONS.servedStale, message);
  }
}
