import { type CachedImage, type CopyJob, REQUEST_ID_ANNOTATION, stanzaOf } from '@kuik/contracts';
import type { Reference } from '@kuik/image';
import type { Producer } from '@kuik/queue';
import { formatReference } from '@kuik/image';
import { forceWish, STEP_REASONS, type StepReason } from './next-step.ts';

interface Raised {
  /** What the decision rested on. */
  readonly basis: string;
  /** The wish that this intent carries out, and the copy that was there when it was raised. */
  readonly force?: { readonly wish: string; readonly copiedAt: string | undefined } | undefined;
}

export interface IntentDetails {
  /** The admission that it follows. */
  readonly requestId?: string | undefined;
  /** Platforms to copy of an index; absent: all, for want of knowledge. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /** Manifests that nodes pulled through. */
  readonly pulled?: readonly string[];
  /** What they got from the cache with wrong bytes. */
  readonly wrong?: readonly string[];
}

/**
 * Raises copy intents, each once for what it rests on: a holder more while a copy runs is no new intent. The queue remembers jobs,
 * this remembers which were handed to it; forgotten at each resync, and when Redis is back, so that a queue that lost everything gets everything again.
 */
export class Intents {
  readonly #producer: Pick<Producer<CopyJob>, 'enqueue'>;
  readonly #raised = new Map<string, Raised>();

  constructor(producer: Pick<Producer<CopyJob>, 'enqueue'>) {
    this.#producer = producer;
  }

  /** Hands the copy of an image to the queue, unless that was done. False when the queue is away: the intent waits in the resource. */
  async raise(
    image: CachedImage,
    reference: Reference,
    reason: StepReason,
    {
      requestId = image.metadata.annotations?.[REQUEST_ID_ANNOTATION],
      platforms,
      pulled = [],
      wrong = [],
    }: IntentDetails = {},
  ): Promise<boolean> {
    const { uid, name } = image.metadata;
    const basis = basisOf(image, platforms);
    const before = this.#raised.get(uid);
    // What nodes miss in the cache, or see upstream, shows in no stanza.
    const missed = reason === STEP_REASONS.contentMissing;
    if (before?.basis === basis && !missed && reason !== STEP_REASONS.tagMoved) return true;
    // Both bring what is missing of the digest that is there, wherever its tag is by now.
    const verify = missed || reason === STEP_REASONS.platformsChanged;
    const wish = reason === STEP_REASONS.forced ? forceWish(image) : undefined;
    const force = wish === undefined ? before?.force : { wish, copiedAt: stanzaOf(image, 'cache')?.copiedAt };
    this.#raised.set(uid, { basis, force });
    const job: CopyJob = {
      name,
      uid,
      reference: formatReference(reference),
      host: reference.host,
      reason,
      ...(verify ? { verify } : {}),
      ...(Array.isArray(platforms) ? { platforms, ...(pulled.length === 0 ? {} : { pulled: [...pulled] }) } : {}),
      ...(missed && wrong.length > 0 ? { wrong: [...wrong] } : {}),
      ...(isFresh(image) ? { fresh: image.metadata.resourceVersion } : {}),
      ...(requestId === undefined ? {} : { requestId }),
    };
    const taken = await this.#producer.enqueue(job).catch(() => false);
    if (!taken && this.#raised.get(uid)?.basis === basis) this.#restore(uid, before);
    return taken;
  }

  /** A copy is wished for by annotation, and no intent carries that wish yet. */
  unraisedForce(image: CachedImage): boolean {
    const wish = forceWish(image);
    return wish !== undefined && this.#raised.get(image.metadata.uid)?.force?.wish !== wish;
  }

  /** The wish was carried out: a copy ended well after its intent was raised, and says that it answered it. */
  forceAnswered(image: CachedImage): boolean {
    const force = this.#raised.get(image.metadata.uid)?.force;
    const cache = stanzaOf(image, 'cache');
    if (force === undefined || forceWish(image) !== force.wish || cache?.error !== undefined) return false;
    return cache?.forced === force.wish && cache.copiedAt !== force.copiedAt;
  }

  /** Nobody wishes for a copy any more: the same words said again are another wish. */
  forgetForce(uid: string): void {
    const raised = this.#raised.get(uid);
    if (raised?.force !== undefined) this.#raised.set(uid, { basis: '' });
  }

  forget(uid: string): void {
    this.#raised.delete(uid);
  }

  /** At each resync: every intent may be raised again; wishes under way are remembered. */
  forgetBases(): void {
    for (const [uid, { force }] of this.#raised) {
      if (force === undefined) this.#raised.delete(uid);
      else this.#raised.set(uid, { basis: '', force });
    }
  }

  clear(): void {
    this.#raised.clear();
  }

  #restore(uid: string, before: Raised | undefined): void {
    if (before === undefined) this.#raised.delete(uid);
    else this.#raised.set(uid, before);
  }
}

/** Nobody said or wished anything of it yet: a copy needs its reference alone. */
function isFresh(image: CachedImage): boolean {
  const { status = {}, spec, metadata } = image;
  const touched = status.cache ?? status.removal ?? spec.pin ?? forceWish(image) ?? metadata.deletionTimestamp;
  return touched === undefined;
}

/** What makes an intent a new one: another outcome of the copier or of gc, another wish, other platforms. */
function basisOf(image: CachedImage, platforms: IntentDetails['platforms']): string {
  const cache = stanzaOf(image, 'cache');
  const removal = stanzaOf(image, 'removal');
  return JSON.stringify([
    cache?.copiedAt,
    cache?.error?.at,
    removal?.epoch,
    removal?.removedAt,
    forceWish(image),
    platforms,
  ]);
}
