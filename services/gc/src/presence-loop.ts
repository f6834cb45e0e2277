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
import { holdsWholeImage, type RepositoryClient } from '@kuik/registry';
import type { Clock, Logger, Metrics } from '@kuik/runtime';
import { dueForALook, keptPlatforms } from './presence.ts';

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
 * does that met it: a wiped cache fills itself again without waiting for pulls. Costs upstream nothing, and the cache a GET per manifest that is
 * kept and a HEAD per blob. When each was looked at is known to this
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
        // It stays due, behind the others: one that the cache always fails on holds none of them up.
        this.#lookedAt.set(image.metadata.uid, clock.now() - everyMs);
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
    const { digest, ...held } = stanzaOf(image, 'cache') ?? {};
    if (reference === undefined || name === undefined || digest === undefined) return undefined;
    if (await holdsWholeImage(cache(name), digest, { wants: keptPlatforms(held), signal })) return undefined;
    return { repository: repositoryName(reference), digest, at: new Date(clock.now()).toISOString() };
  }

  #forgetAllBut(images: readonly CachedImage[]): void {
    const uids = new Set(images.map(({ metadata }) => metadata.uid));
    for (const uid of this.#lookedAt.keys()) if (!uids.has(uid)) this.#lookedAt.delete(uid);
  }
}

/** Where reports go: the stream of what node proxies tell. */
export function reportMissing(bus: {
  publishDurable(stream: typeof IMAGE_SERVED, payload: ImageServed, options: { timeoutMs: number }): Promise<void>;
}): PresenceOptions['publish'] {
  return (report) => bus.publishDurable(IMAGE_SERVED, report, { timeoutMs: 5_000 });
}
