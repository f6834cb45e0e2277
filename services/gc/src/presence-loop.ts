import {
  IMAGE_SERVED,
  METRICS,
  stanzaOf,
  type CachedImage,
  type ImageServed,
  type MissingContent,
} from '@kuik/contracts';
import type { Leadership, Reflector } from '@kuik/kube';
import { repositoryName, toCacheRepository, tryParseReference } from '@kuik/image';
import { holdsWholeImage, RegistryError, type RepositoryClient } from '@kuik/registry';
import type { Clock, Logger, Metrics } from '@kuik/runtime';
import { dueForALook } from './presence.ts';

export interface PresenceOptions {
  readonly images: Pick<Reflector<CachedImage>, 'values' | 'synced'>;
  readonly leadership: Pick<Leadership, 'isLeader'>;
  /** A repository of the cache. */
  readonly cache: (repository: string) => RepositoryClient;
  readonly publish: (report: ImageServed) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly everyMs: number;
  readonly roundMs: number;
}

/**
 * Looks, a few images at a time, whether the cache still has what resources say it has, and tells pod-watcher what is missing, as a node proxy
 * does that met it: a wiped cache fills itself again without waiting for pulls. Costs upstream nothing. When each was looked at is known to this
 * process alone: a new leader begins with those copied longest ago.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #lookedAt = new Map<string, number>();
  readonly #looks;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#looks = options.metrics.counter(METRICS.presenceLooks);
  }

  /** Throws RegistryError when the cache cannot be asked: missing is only what it says is not there. */
  async round(signal: AbortSignal): Promise<void> {
    const { images, leadership, clock, everyMs, roundMs, publish, log } = this.#options;
    if (!leadership.isLeader() || !images.synced()) return;
    const all = [...images.values()];
    this.#forgetAllBut(all);
    const missing: MissingContent[] = [];
    let failure: { error: unknown } | undefined;
    for (const image of dueForALook(all, this.#lookedAt, { now: clock.now(), everyMs, roundMs })) {
      try {
        const lost = await this.#lost(image, signal);
        this.#looks.inc({ result: lost === undefined ? 'there' : 'missing' });
        this.#lookedAt.set(image.metadata.uid, clock.now());
        if (lost === undefined) continue;
        log.warn('cache lacks what its resource says is there', { image: image.spec.sourceImage, digest: lost.digest });
        missing.push(lost);
      } catch (error) {
        failure = { error };
        break;
      }
    }
    const since = new Date(clock.now()).toISOString();
    if (missing.length > 0) await publish({ node: 'gc', since, images: [], missing });
    if (failure !== undefined) throw failure.error;
  }

  /** What is to be told of this image; undefined when it is there. */
  async #lost(image: CachedImage, signal: AbortSignal): Promise<MissingContent | undefined> {
    const { cache, clock } = this.#options;
    const reference = tryParseReference(image.spec.sourceImage);
    const name = reference === undefined ? undefined : toCacheRepository(reference);
    const { digest, platformsOnDemand = [] } = stanzaOf(image, 'cache') ?? {};
    if (reference === undefined || name === undefined || digest === undefined) return undefined;
    const client = cache(name);
    // An index whose other platforms stay on demand is not whole, and is not meant to be.
    const there =
      platformsOnDemand.length === 0
        ? await holdsWholeImage(client, digest, { signal })
        : await has(client, digest, signal);
    if (there) return undefined;
    return { repository: repositoryName(reference), digest, at: new Date(clock.now()).toISOString() };
  }

  #forgetAllBut(images: readonly CachedImage[]): void {
    const uids = new Set(images.map(({ metadata }) => metadata.uid));
    for (const uid of this.#lookedAt.keys()) if (!uids.has(uid)) this.#lookedAt.delete(uid);
  }
}

async function has(client: RepositoryClient, digest: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.headManifest(digest, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return false;
    throw error;
  }
}

/** Where reports go: the stream of what node proxies tell. */
export function reportMissing(bus: {
  publishDurable(stream: typeof IMAGE_SERVED, payload: ImageServed, options: { timeoutMs: number }): Promise<void>;
}): PresenceOptions['publish'] {
  return (report) => bus.publishDurable(IMAGE_SERVED, report, { timeoutMs: 5_000 });
}
