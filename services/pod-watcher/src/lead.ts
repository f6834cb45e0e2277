import type { Bus, Stoppable } from '@kuik/bus';
import { IMAGE_SERVED, IMAGE_USED, type ImageServed, type ImageUsed, TAG_MOVED, type TagMoved } from '@kuik/contracts';
import type { Leadership } from '@kuik/kube';
import type { Backoff, Logger, Part } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import type { GoneNamespaces } from './gone-namespaces.ts';
import type { HintBook } from './hint-book.ts';
import { imageIdentity } from './identity.ts';
import type { ImageReconciler } from './image-reconciler.ts';
import type { Intents } from './intents.ts';
import { failedRounds, KeyedQueue } from './keyed-queue.ts';
import type { RepositoryReconciler } from './repository-reconciler.ts';
import type { StateProjection } from './state-projection.ts';
import type { Watches } from './watches.ts';

export interface LeadParts {
  readonly leadership: Pick<Leadership, 'isLeader' | 'onChange'>;
  readonly watches: Watches;
  readonly view: ClusterView;
  readonly images: ImageReconciler;
  readonly repositories: RepositoryReconciler;
  readonly intents: Intents;
  readonly projection: StateProjection;
  readonly hints: HintBook;
  readonly namespaces: Pick<GoneNamespaces, 'look'>;
  readonly bus: Bus;
  /** Takes a moved tag in; returns the image (canonical text) to look at. */
  readonly onMoved: (moved: TagMoved) => string | undefined;
  /** Takes one window of pulls in; throws to see it again. */
  readonly onServed: (served: ImageServed) => Promise<void>;
  readonly spacingMs: number;
  /** How far behind its images a Repository's summary may be, ms. */
  readonly settleMs: number;
  readonly concurrency: number;
  readonly backoff: Backoff;
  readonly now: () => number;
  readonly log: Logger;
  readonly onStatesRepaired: (entries: number) => void;
  readonly onFailure: (loop: string, error: unknown) => void;
}

const IMAGE = 'image:';
const REPOSITORY = 'repository:';
const STATE = 'state:';
const ALL_STATE = 'all-state';
const EXPIRE = 'expire-holders';
const NAMESPACES = 'gone-namespaces';
const SERVED_DURABLE = 'pod-watcher';
const SERVED_RETRY_MS = 5_000;

/**
 * What only the leader does. A term begins with full lists; then everything is looked at once, and after that what changes. It ends
 * when the lease is lost: what runs is aborted, and no write passes the writer's own check.
 */
export class Lead implements Part {
  readonly name = 'lead';
  readonly #parts: LeadParts;
  readonly #queue: KeyedQueue;
  #leading = false;
  #turning: Promise<void> = Promise.resolve();
  #consumer: Stoppable | undefined;
  #hintListeners: Stoppable[] = [];
  #stopListening: (() => void) | undefined;
  #closed = false;

  constructor(parts: LeadParts) {
    this.#parts = parts;
    this.#queue = new KeyedQueue({
      concurrency: parts.concurrency,
      spacingMs: parts.spacingMs,
      backoff: parts.backoff,
      work: (key, signal) => this.#work(key, signal),
      onFailure: failedRounds(parts, loopOf),
    });
  }

  start(): Promise<void> {
    const { leadership, view, bus, hints } = this.#parts;
    leadership.onChange((leader) => this.#turn(leader));
    this.#stopListening = view.listen({
      imageChanged: (image) => this.#queue.add(IMAGE + image),
      imageSeen: (_before, image) => this.#queue.add(STATE + imageIdentity(image)),
      repositoryChanged: (repository) => this.#queue.add(REPOSITORY + repository, this.#parts.settleMs),
      imageGone: (image) => {
        this.#parts.intents.forget(image.metadata.uid);
        if (this.#leading) this.#forgetState(image);
        // A duplicate may count now.
        this.#queue.add(STATE + imageIdentity(image));
      },
      holderChanged: ({ finishedAt }) => {
        if (finishedAt !== undefined) this.#scheduleExpiry();
      },
    });
    this.#hintListeners = [
      bus.subscribe(IMAGE_USED, (hint: ImageUsed) => {
        for (const image of hints.take(hint)) this.#queue.add(IMAGE + image);
      }),
      bus.subscribe(TAG_MOVED, (hint: TagMoved) => {
        const image = this.#parts.onMoved(hint);
        if (image !== undefined) this.#queue.add(IMAGE + image);
      }),
    ];
    if (leadership.isLeader()) this.#turn(true);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#turn(false);
    this.#stopListening?.();
    await Promise.all(this.#hintListeners.map((listener) => listener.stop()));
    await this.#turning;
  }

  /** This replica leads, and everything that may hold an image is known in full since. */
  complete(): boolean {
    return this.#leading && this.#parts.leadership.isLeader() && this.#parts.watches.synced();
  }

  /** Everything known is looked at again, and every intent may be raised again. */
  resync(): void {
    if (!this.#leading || !this.#parts.watches.ready()) return;
    const { view, intents } = this.#parts;
    intents.forgetBases();
    for (const image of view.allImages()) this.#queue.add(IMAGE + image);
    for (const repository of view.repositories.identities()) this.#queue.add(REPOSITORY + repository);
    this.refill();
    this.#queue.add(NAMESPACES);
    this.#scheduleExpiry();
  }

  /** The bucket was made anew, or NATS was away. */
  refill(): void {
    if (this.#leading) this.#queue.add(ALL_STATE);
  }

  /** Something about an image changed that no resource shows. */
  look(image: string): void {
    this.#queue.add(IMAGE + image);
  }

  /** Keys under way, for tests and metrics. */
  get busy(): number {
    return this.#queue.busy;
  }

  /** Turns follow each other: a lease that flaps never has two terms at once. */
  #turn(leader: boolean): void {
    this.#turning = this.#turning
      .then(() => (leader && !this.#closed ? this.#begin() : this.#end()))
      .catch((error: unknown) => {
        this.#parts.onFailure('lead', error);
        this.#parts.log.error('term could not turn', { leader, error });
      });
  }

  async #begin(): Promise<void> {
    if (this.#leading) return;
    const { watches, intents, bus } = this.#parts;
    intents.clear();
    this.#leading = true;
    this.#queue.open();
    // `resync` follows when the lists are in.
    await watches.restart();
    this.#consumer = bus.consume(IMAGE_SERVED, SERVED_DURABLE, async ({ payload }) => {
      try {
        await this.#parts.onServed(payload);
        return { do: 'ack' };
      } catch (error) {
        return { do: 'retry', afterMs: SERVED_RETRY_MS, reason: error instanceof Error ? error.message : 'failed' };
      }
    });
  }

  async #end(): Promise<void> {
    if (!this.#leading) return;
    this.#leading = false;
    await this.#consumer?.stop();
    this.#consumer = undefined;
    await this.#queue.close();
  }

  async #work(key: string, signal: AbortSignal): Promise<{ afterMs: number } | undefined> {
    const { images, repositories, projection, watches, view, log } = this.#parts;
    // Nothing is decided on half of a list: the resync that ends it brings every key back.
    if (!watches.ready()) return undefined;
    if (key.startsWith(IMAGE)) return images.reconcile(key.slice(IMAGE.length));
    if (key.startsWith(REPOSITORY)) return repositories.reconcile(key.slice(REPOSITORY.length));
    if (key.startsWith(STATE)) await projection.update(key.slice(STATE.length));
    else if (key === ALL_STATE) {
      const wrong = await projection.overwrite(signal);
      if (wrong > 0) {
        this.#parts.onStatesRepaired(wrong);
        log.info('image states put right', { entries: wrong });
      }
    } else if (key === NAMESPACES) {
      for (const image of await this.#parts.namespaces.look(signal)) this.look(image);
    } else if (key === EXPIRE) {
      view.expireHolders();
      return this.#untilExpiry();
    }
    return undefined;
  }

  #scheduleExpiry(): void {
    const next = this.#untilExpiry();
    if (next !== undefined) this.#queue.add(EXPIRE, next.afterMs);
  }

  #untilExpiry(): { afterMs: number } | undefined {
    const next = this.#parts.view.usage.nextExpiry();
    return next === undefined ? undefined : { afterMs: Math.max(next - this.#parts.now(), 1) };
  }

  #forgetState(image: Parameters<StateProjection['forget']>[0]): void {
    this.#parts.projection.forget(image).catch((error: unknown) => {
      this.#parts.log.warn('state of a gone image not removed; the next full list will', {
        object: image.metadata.name,
        error,
      });
    });
  }
}

function loopOf(key: string): string {
  return key.includes(':') ? key.slice(0, key.indexOf(':')) : key;
}
