import { type CachedImage, EVENT_REASONS, type ImageServed } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import type { EventRecorder } from '@kuik/kube';
import type { TimeStore } from '@kuik/queue';
import type { Logger } from '@kuik/runtime';
import { imageIdentity } from './identity.ts';
import type { ResourceIndex } from './resource-index.ts';

/** Where exact times live (Redis), by uid; the resource shows them to the day. Losing them costs nothing else. */
export type PullTimes = Pick<TimeStore, 'set'>;

export interface ServedPullsParts {
  readonly images: ResourceIndex<CachedImage>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly times: PullTimes;
  readonly log: Logger;
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
    await this.#record(newer);
    return [...newer.keys()];
  }

  /** Epoch ms. */
  lastPulled(image: string): number | undefined {
    return this.#lastPulled.get(image);
  }

  async #record(newer: ReadonlyMap<string, number>): Promise<void> {
    const { images, times, log } = this.#parts;
    const entries = [...newer].flatMap(([image, at]) =>
      images.of(image).map(({ metadata }) => [metadata.uid, at] as const),
    );
    if (entries.length === 0) return;
    try {
      await times.set('pulled', entries);
    } catch (error) {
      log.warn('exact pull times not kept', { images: entries.length, error });
    }
  }

  #stale(image: string, node: string): void {
    const [object] = this.#parts.images.of(image);
    if (object === undefined) return;
    const message = `node ${node} was served from the cache because upstream could not answer for ${imageIdentity(object)}`;
    this.#parts.events.event(object, 'Warning', EVENT_REASONS.servedStale, message);
  }
}
