import { EVENT_REASONS, METRICS, METRICS_V1, stanzaOf, type CachedImage } from '@kuik/contracts';
import { isKubeError, type EventRecorder, type KubeClient, type Leadership, type Reflector } from '@kuik/kube';
import { RegistryError } from '@kuik/registry';
import type { Clock, Logger, Metrics } from '@kuik/runtime';
import { claimOf, readClaims, type CacheClaim } from './cache-tags.ts';
import { withKind, type Condemnation } from './condemnation.ts';
import { CONFIRM_BATCH, type HolderVerdict } from './confirm-holders.ts';
import { isOfOneManifest } from './referrer-tags.ts';
import type { Removal, RemovalOutcome } from './removal.ts';
import { RemovalTurns } from './removal-turns.ts';
import { REASONS, verdict, type Reason, type Verdict } from './verdict.ts';

export interface CollectionOptions {
  readonly images: Pick<Reflector<CachedImage>, 'values' | 'synced'>;
  readonly kube: Pick<KubeClient, 'pages'>;
  readonly leadership: Pick<Leadership, 'isLeader'>;
  readonly condemnation: Condemnation;
  readonly removal: Removal;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly confirm: (images: readonly CachedImage[]) => Promise<ReadonlyMap<string, HolderVerdict>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly graceMs: number;
}

interface Judged {
  readonly image: CachedImage;
  readonly verdict: Verdict;
}

/** Refused or away: what every other image of this round would meet as well. Anything else may be one repository's, a timeout too: some lists are long. */
const COMMON = new Set(['refused', 'dns', 'tls', 'unauthorized', 'rate-limited', 'aborted']);

/** A slow cache registry makes a batch take minutes: who comes to hold an image meanwhile, and a digest that a new resource names, have to be seen. */
const ANSWERS_MS = 2_000;

/** One round: judges every image, condemns and keeps, asks who holds what is due, and makes go what nobody holds. */
export class Collection {
  readonly #options: CollectionOptions;
  readonly #removed;
  readonly #removedV1;
  readonly #kept;
  readonly #condemned;
  /** Images (uid) to be recalled whose bytes are gone: the copier brings them back. */
  readonly #lost = new Set<string>();
  readonly #turns = new RemovalTurns();

  constructor(options: CollectionOptions) {
    this.#options = options;
    this.#removed = options.metrics.counter(METRICS.gcRemoved);
    this.#removedV1 = options.metrics.counter(METRICS_V1.removedFromCache);
    this.#kept = options.metrics.counter(METRICS.gcKept);
    this.#condemned = options.metrics.gauge(METRICS.gcCondemned);
  }

  /**
   * Does nothing unless this replica leads and has the whole list. What fails for one image is told and left to the next round, with the rest of
   * its repository; what fails for all (cache or pod-watcher away) ends the round with that error, so that the loop backs off.
   */
  async round(signal: AbortSignal): Promise<void> {
    const { images, leadership, condemnation, removal, clock, graceMs } = this.#options;
    if (!leadership.isLeader() || !images.synced()) return;
    const now = clock.now();
    const judged = [...images.values()].map((image) => ({ image, verdict: verdict(image, now, graceMs) }));
    const condemned = judged.filter(({ image }) => stanzaOf(image, 'removal') !== undefined);
    this.#condemned.set(condemned.length);
    condemnation.forgetAllBut(condemned.map(({ image }) => image));
    const recalled = new Set(
      judged.flatMap(({ image, verdict: found }) => (found.do === 'recall' ? [image.metadata.uid] : [])),
    );
    for (const uid of this.#lost) if (!recalled.has(uid)) this.#lost.delete(uid);

    const failures: unknown[] = [];
    for (const { image, verdict: found } of judged) {
      try {
        if (found.do === 'wait') await condemnation.tell(image);
        if (found.do === 'recall') await this.#recall(image, found.reason, signal);
        if (found.do !== 'keep' && found.do !== 'condemn') continue;
        // Copied since its removal began: the resource promises its bytes again only when they are there.
        if (stanzaOf(image, 'removal')?.removedAt !== undefined && !(await removal.returned(image, signal))) continue;
        if (found.do === 'keep') await condemnation.keep(image, found.reason, signal);
        else await condemnation.condemn(image, found.reason, now, signal);
      } catch (error) {
        // One manifest that the cache cannot give says nothing of others; when it can give none the removals end at the first.
        if (isOfOneManifest(error))
          this.#options.log.warn('tag cannot be read in the cache', { image: image.spec.sourceImage, error });
        else if (!changedMeanwhile(error)) failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    await this.#removeDue(judged, signal);
  }

  /** Used again when its removal had begun: what is there yet stays, so that upstream, which may be gone for good, need not be asked. */
  async #recall(image: CachedImage, reason: string, signal: AbortSignal): Promise<void> {
    const { condemnation, removal } = this.#options;
    const { uid } = image.metadata;
    if (this.#lost.has(uid)) return;
    if (await removal.hasTag(image, signal)) await condemnation.keep(image, reason, signal);
    else this.#lost.add(uid);
  }

  async #removeDue(judged: readonly Judged[], signal: AbortSignal): Promise<void> {
    const { clock, kube, confirm } = this.#options;
    this.#options.removal.beginRound();
    const going = judged.filter(({ verdict: found }) => ['remove', 'finish', 'release'].includes(found.do));
    const due = this.#turns.begin(going, clock.monotonic());
    for (let from = 0; from < due.length; from += CONFIRM_BATCH) {
      const batch = due.slice(from, from + CONFIRM_BATCH);
      // Nodes that were not told while NATS was away are told before, not after.
      for (const { image, verdict: found } of batch) {
        if (found.do === 'remove') await this.#options.condemnation.tell(image);
      }
      let answers: Awaited<ReturnType<CollectionOptions['confirm']>> = new Map();
      let claims = new Map<string, CacheClaim>();
      let askedAt = -Infinity;
      for (const [index, one] of batch.entries()) {
        const uid = one.image.metadata.uid;
        if (clock.monotonic() - askedAt > ANSWERS_MS) {
          answers = await confirm(batch.slice(index).map(({ image }) => image));
          claims = await readClaims(kube, signal);
          askedAt = clock.monotonic();
        }
        await this.#one(one.image, async () => {
          const outcome = await this.#act(one, answers.get(uid) ?? 'unknown', claims, signal);
          if (outcome?.outcome === 'waits') return this.#tellUnread(one.image, outcome.unread);
          if (outcome?.outcome !== 'removed') return;
          claims.delete(uid);
          this.#turns.succeeded(uid);
        });
      }
    }
  }

  /** Acts on one answer. Undefined: nothing was done. */
  async #act(
    { image, verdict: found }: Judged,
    holders: HolderVerdict,
    claims: ReadonlyMap<string, CacheClaim>,
    signal: AbortSignal,
  ): Promise<RemovalOutcome | undefined> {
    const { removal, condemnation } = this.#options;
    const { repository } = claimOf(image) ?? {};
    if (holders === 'unknown') {
      this.#kept.inc({ reason: REASONS.holdersUnknown });
      return undefined;
    }
    if (holders === 'free' && repository !== undefined && this.#turns.left(repository)) {
      this.#kept.inc({ reason: REASONS.cacheFails });
      return undefined;
    }
    if (found.do === 'release') {
      return this.#counted(found.reason, await removal.release(image, holders === 'held', claims.values(), signal));
    }
    if (holders === 'held') {
      // Once its bytes are on their way out it is the copier that brings them back.
      if (found.do === 'remove') await condemnation.keep(image, 'InUse', signal);
      return undefined;
    }
    return this.#counted(found.reason, await removal.remove(image, claims.values(), signal));
  }

  #counted(reason: string, outcome: RemovalOutcome): RemovalOutcome {
    if (outcome.outcome === 'removed') {
      this.#removed.inc({ reason });
      this.#removedV1.inc();
    }
    if (outcome.outcome === 'released') this.#kept.inc({ reason: 'InUse' });
    return outcome;
  }

  async #one(image: CachedImage, work: () => Promise<void>): Promise<void> {
    const { repository } = claimOf(image) ?? {};
    try {
      await work();
    } catch (error) {
      if (changedMeanwhile(error)) return;
      if (!(error instanceof RegistryError) || COMMON.has(error.code) || repository === undefined) throw error;
      const { news, all } = this.#turns.failed(image.metadata.uid, repository);
      if (all) throw error;
      this.#tellHeldUp(image, REASONS.cacheFails, error.message, news);
    }
  }

  #tellUnread(image: CachedImage, { message }: RegistryError): void {
    const news = this.#turns.waits(image.metadata.uid, this.#options.clock.monotonic());
    const why = `another image may need what is about it, and the manifest that would tell cannot be read: ${message}`;
    this.#tellHeldUp(image, REASONS.manifestUnread, why, news);
  }

  /** The metric counts each try; a person is told of the first. */
  #tellHeldUp(image: CachedImage, reason: Reason, why: string, news: boolean): void {
    const { log, events } = this.#options;
    this.#kept.inc({ reason });
    if (!news) return;
    const { sourceImage } = image.spec;
    log.warn('image cannot be removed from the cache yet', { image: sourceImage, reason, why });
    const message = `${sourceImage} cannot be removed from the cache yet (${reason}): ${why}`;
    events.event(withKind(image), 'Warning', EVENT_REASONS.removalWaits, message);
  }
}

/** Somebody wrote in between: the next round judges what is there then. */
function changedMeanwhile(error: unknown): boolean {
  return isKubeError(error, 'conflict', 'not-found');
}
