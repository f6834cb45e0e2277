import { EVENT_REASONS, formatDuration, stanzaOf, type CachedImage, type RemovalStanza } from '@kuik/contracts';
import { CACHED_IMAGES, type EventRecorder, type KubeClient } from '@kuik/kube';
import type { Logger } from '@kuik/runtime';
import { writeRemoval } from './removal-stanza.ts';

export interface CondemnationOptions {
  readonly kube: Pick<KubeClient, 'apply'>;
  readonly announce: (image: CachedImage) => Promise<void>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
  readonly assertLeader: () => void;
  readonly graceMs: number;
  readonly onKept: (reason: string) => void;
}

/** Condemns and un-condemns: the stanza, then the word to the nodes, then the event. */
export class Condemnation {
  readonly #options: CondemnationOptions;
  /** Condemnations that nodes were told of by this process: after a restart they are told again. */
  readonly #told = new Set<string>();

  constructor(options: CondemnationOptions) {
    this.#options = options;
  }

  /** Whether nodes know. */
  told(image: CachedImage): boolean {
    return this.#told.has(keyOf(image));
  }

  /** Throws KubeError `conflict` when the image has changed since it was judged, BusError when nodes could not be told (see `tell`). */
  async condemn(image: CachedImage, reason: string, now: number, signal: AbortSignal): Promise<void> {
    const { kube, events, log, assertLeader, graceMs } = this.#options;
    assertLeader();
    const written = await writeRemoval(kube, image, newStanza(image, reason, now), signal);
    const { sourceImage } = image.spec;
    log.info('image condemned', { image: sourceImage, reason });
    const message = `${sourceImage} leaves the cache in ${formatDuration(graceMs)} unless it is used again (${reason})`;
    events.event(withKind(written), 'Normal', EVENT_REASONS.expiring, message);
    await this.tell(written);
  }

  /** Tells nodes of a condemnation, once per process. Throws BusError. */
  async tell(image: CachedImage): Promise<void> {
    if (this.told(image)) return;
    await this.#options.announce(image);
    this.#told.add(keyOf(image));
  }

  /** Withdraws the stanza. Throws as `condemn`. */
  async keep(image: CachedImage, reason: string, signal: AbortSignal): Promise<void> {
    const { kube, events, log, assertLeader, onKept } = this.#options;
    assertLeader();
    const written = await writeRemoval(kube, image, undefined, signal);
    this.#told.delete(keyOf(image));
    log.info('image kept', { image: image.spec.sourceImage, reason });
    events.event(
      withKind(written),
      'Normal',
      EVENT_REASONS.kept,
      `${image.spec.sourceImage} stays in the cache (${reason})`,
    );
    onKept(reason);
    await this.#options.announce(written);
  }

  /** Forgets what was told of images that are not condemned any more. */
  forgetAllBut(images: Iterable<CachedImage>): void {
    const still = new Set([...images].map(keyOf));
    for (const key of this.#told) if (!still.has(key)) this.#told.delete(key);
  }
}

/** An epoch that grows without a memory of former ones: seconds since 1970, or one more than the last. */
function newStanza(image: CachedImage, reason: string, now: number): Omit<RemovalStanza, 'forUid'> {
  const last = stanzaOf(image, 'removal')?.epoch ?? 0;
  return { condemnedAt: new Date(now).toISOString(), reason, epoch: Math.max(last + 1, Math.floor(now / 1000)) };
}

/** Lists leave kind and version out; events need them. */
export function withKind(image: CachedImage): CachedImage & { apiVersion: string; kind: string } {
  return { ...image, apiVersion: `${CACHED_IMAGES.group}/${CACHED_IMAGES.version}`, kind: CACHED_IMAGES.kind };
}

function keyOf(image: CachedImage): string {
  return `${image.metadata.uid} ${stanzaOf(image, 'removal')?.epoch ?? 0}`;
}
