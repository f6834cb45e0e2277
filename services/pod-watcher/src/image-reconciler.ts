import { type CachedImage, type Repository, stanzaOf } from '@kuik/contracts';
import { type Reference, repositoryName, tryParseReference } from '@kuik/image';
import type { Clock, Logger } from '@kuik/runtime';
import { copyingNow } from './cached.ts';
import { type CheckSettings, checkOf } from './check-policy.ts';
import type { ClusterView } from './cluster-view.ts';
import type { DescriptionPace } from './description-pace.ts';
import { factsOf, recordedFacts, withFacts } from './facts.ts';
import { freeImageName, freeRepositoryName, imageIdentity } from './identity.ts';
import { onlyHoldersDiffer } from './holders-only.ts';
import type { Intents } from './intents.ts';
import { makesWay } from './make-way.ts';
import type { MovedTags } from './moved-tags.ts';
import type { MissingContentBook } from './missing-content.ts';
import { neverCached } from './never-cached.ts';
import { forceWish, nextStep, type RetryTimes, type Step, STEP_REASONS } from './next-step.ts';
import type { ResourceWriter } from './resource-writer.ts';
import type { Settling } from './settling.ts';
import { recordedSummary, summarise } from './summary.ts';
import { sameJson } from './same-json.ts';
import { policyOf, updateAt } from './update-policy.ts';
import type { WantedPlatforms } from './wanted-platforms.ts';
import type { HolderKnowledge } from './knowledge.ts';

/** What other parts know of an image that no resource shows yet. */
export interface ImageHints {
  /** The webhook admitted a pod for it a moment ago, and whether that pod is stored nobody knows yet: the request that it follows. */
  expected(image: string): { readonly requestId: string } | undefined;
  /** Epoch ms. */
  lastPulled(image: string): number | undefined;
}

export interface ImageReconcilerParts {
  readonly view: ClusterView;
  readonly knowledge: () => HolderKnowledge;
  readonly writer: Pick<
    ResourceWriter,
    | 'createImage'
    | 'madeLately'
    | 'withdrawImage'
    | 'createRepository'
    | 'adoptImage'
    | 'dropForceWish'
    | 'applyDescription'
  >;
  readonly intents: Intents;
  readonly hints: ImageHints;
  readonly missing: Pick<MissingContentBook, 'wants' | 'sent' | 'pulled' | 'wrong'>;
  readonly moved: Pick<MovedTags, 'wants' | 'sent'>;
  readonly checks: CheckSettings;
  readonly platforms: Pick<WantedPlatforms, 'wanted' | 'pendingMs'>;
  readonly namespaceGone: (namespace: string) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retry: RetryTimes;
  readonly unusedMs: number;
  readonly settling: Pick<Settling, 'begin' | 'leftMs' | 'restMs'>;
  readonly pace: Pick<DescriptionPace, 'waitMs' | 'told'>;
  readonly count: (step: Step) => void;
}

/** How long an intent waits that the queue did not take. */
const QUEUE_RETRY_MS = 5_000;

/** Everything that has to be true of one image (canonical text): its object exists, says who uses it, and its copy is under way. */
export class ImageReconciler {
  readonly #parts: ImageReconcilerParts;

  constructor(parts: ImageReconcilerParts) {
    this.#parts = parts;
  }

  /** Returns when to look again, when something is known to change with time alone. Throws KubeError. */
  async reconcile(image: string): Promise<{ afterMs: number } | undefined> {
    const { view, hints, clock, settling } = this.#parts;
    const reference = tryParseReference(image);
    const expected = hints.expected(image);
    const holders = view.usage.holdersOf(image);
    const held = holders.size > 0;
    const requestId = expected?.requestId ?? holders.values().next().value?.requestId;
    const isNew = view.images.of(image).length === 0;
    if (isNew) {
      // A hint creates nothing: quota and validation may still refuse its pod. One that is stored shows in the watch as soon.
      if (!held || reference === undefined) return undefined;
      await this.#create(reference, requestId);
    }
    await this.#makeWay(image);
    const [first, ...duplicates] = view.images.of(image);
    if (first === undefined) return undefined;
    const waits: number[] = [];
    const copying = copyingNow(stanzaOf(first, 'cache'), clock.now());
    if (copying !== undefined) waits.push(Date.parse(copying.until) - clock.now());
    // What can never be cached gets no Repository, no finalizer and no intent: its summary says why.
    const kept = neverCached(first) === undefined ? reference : undefined;
    for (const image of [first, ...duplicates]) await this.#adopt(image, kept);
    if (kept !== undefined) {
      const current = view.images.named(first.metadata.name) ?? first;
      const wait = await this.#step(current, kept, held || expected !== undefined, requestId);
      if (wait !== undefined) waits.push(wait);
    }
    // Many images may be new at once: all copies start before anything is described, and most are described once.
    const settled = view.images.named(first.metadata.name) ?? first;
    const settlesMs = settling.leftMs(settled) || (isCopiedOnly(settled) ? settling.restMs() : 0);
    if (isNew || settlesMs > 0) return { afterMs: Math.max(Math.min(settlesMs, ...waits), 1) };
    for (const { metadata } of [first, ...duplicates]) {
      const current = view.images.named(metadata.name);
      if (current === undefined) continue;
      const wait = await this.#describe(
        current,
        metadata.name === first.metadata.name ? undefined : first.metadata.name,
      );
      if (wait !== undefined) waits.push(wait);
    }
    return waits.length === 0 ? undefined : { afterMs: Math.max(Math.min(...waits), 1) };
  }

  async #create(reference: Reference, requestId: string | undefined): Promise<void> {
    const { view, writer, log, settling } = this.#parts;
    await this.#ensureRepository(reference);
    const taken = new Set<string>();
    for (;;) {
      const name = freeImageName(
        reference,
        (candidate) => taken.has(candidate) || view.images.named(candidate) !== undefined,
      );
      if (name === undefined) throw new Error(`every name for the CachedImage of ${reference.path} is taken`);
      const made = await writer.createImage(name, reference, requestId);
      if (made !== undefined) {
        settling.begin(made.metadata.uid);
        log.info('cached image created', { image: imageIdentity(made), object: name, requestId });
        return;
      }
      taken.add(name);
    }
  }

  /** Takes back what this process made while somebody else's object for the image was on its way into the view. */
  async #makeWay(image: string): Promise<void> {
    const { view, writer, log } = this.#parts;
    const all = view.images.of(image);
    if (all.length < 2) return;
    for (const one of all) {
      const way = makesWay(one, all, (each) => writer.madeLately(each));
      if (way.do === 'stay') continue;
      await writer.withdrawImage(one);
      log.info('cached image withdrawn', { image, object: one.metadata.name, reason: way.reason });
    }
  }

  async #ensureRepository(reference: Reference): Promise<void> {
    const { view, writer } = this.#parts;
    const taken = new Set<string>();
    for (;;) {
      if (view.repositories.of(repositoryName(reference)).length > 0) return;
      const name = freeRepositoryName(
        reference,
        (candidate) => taken.has(candidate) || view.repositories.named(candidate) !== undefined,
      );
      if (name === undefined) throw new Error(`every name for the Repository of ${reference.path} is taken`);
      if ((await writer.createRepository(name, reference)) !== undefined) return;
      taken.add(name);
    }
  }

  #repositoryOf(reference: Reference): Repository | undefined {
    return this.#parts.view.repositories.of(repositoryName(reference))[0];
  }

  async #adopt(image: CachedImage, reference: Reference | undefined): Promise<void> {
    if (image.metadata.deletionTimestamp !== undefined) return;
    if (reference !== undefined) await this.#ensureRepository(reference);
    await this.#parts.writer.adoptImage(image, reference);
  }

  /** Carries the next step out; returns ms until the one after it, when time alone brings it. */
  async #step(
    image: CachedImage,
    reference: Reference,
    held: boolean,
    requestId?: string,
  ): Promise<number | undefined> {
    const { intents, missing, moved, platforms: wantedPlatforms, clock, retry, count, log, writer } = this.#parts;
    if (forceWish(image) === undefined) intents.forgetForce(image.metadata.uid);
    if (intents.forceAnswered(image)) {
      await writer.dropForceWish(image);
      intents.forgetForce(image.metadata.uid);
      return undefined;
    }
    const platforms = wantedPlatforms.wanted();
    const context = {
      duplicate: false,
      held,
      forced: intents.unraisedForce(image),
      missing: missing.wants(image),
      moved: moved.wants(image),
      platforms,
      updateAt: updateAt(image, policyOf(this.#repositoryOf(reference))),
      retry,
    };
    const step = nextStep(image, context, clock.now());
    count(step);
    if (step.do === 'wait') return step.until - clock.now();
    if (step.do === 'nothing') return undefined;
    const pendingMs = wantedPlatforms.pendingMs();
    if (pendingMs > 0) return pendingMs;
    const [pulled, wrong] = [missing.pulled(image), missing.wrong(image)];
    if (await intents.raise(image, reference, step.reason, { requestId, platforms, pulled, wrong })) {
      if (step.reason === STEP_REASONS.contentMissing) missing.sent(image);
      if (step.reason === STEP_REASONS.tagMoved) moved.sent(image);
      return undefined;
    }
    log.warn('copy intent waits for the queue', { image: imageIdentity(image), reason: step.reason });
    return QUEUE_RETRY_MS;
  }

  /**
   * The facts, and the summary of what the resource says with them; written when either differs. A thousand pods that start together are
   * not a thousand writes: returns ms until it may be told that only the holders changed.
   */
  async #describe(image: CachedImage, duplicateOf: string | undefined): Promise<number | undefined> {
    const { view, knowledge, writer, hints, checks, clock, unusedMs, retry, pace, namespaceGone } = this.#parts;
    const identity = imageIdentity(image);
    const now = clock.now();
    const holders = view.usage.holdersOf(identity);
    const reference = tryParseReference(identity);
    const repository = reference && this.#repositoryOf(reference);
    const facts = factsOf(image, {
      holders,
      check: checkOf(image, repository, holders, checks),
      knowledge: knowledge(),
      lastPulled: hints.lastPulled(identity),
      unusedMs,
      namespaceGone,
      now,
    });
    const summary = summarise(withFacts(image, facts), { now, retry, duplicateOf });
    const [next, recorded] = [
      { ...facts, ...summary },
      { ...recordedFacts(image), ...recordedSummary(image) },
    ];
    if (sameJson(next, recorded)) return undefined;
    const { uid } = image.metadata;
    const onlyHolders = onlyHoldersDiffer(recorded, next);
    const waitMs = onlyHolders ? pace.waitMs(uid) : 0;
    if (waitMs > 0) return waitMs;
    await writer.applyDescription(image, next);
    pace.told(uid, onlyHolders);
    return undefined;
  }
}

/** Copied without any trouble, and not described yet: nobody has to be told anything at once. */
function isCopiedOnly(image: CachedImage): boolean {
  const cache = stanzaOf(image, 'cache');
  return image.status?.phase === undefined && cache?.digest !== undefined && cache.error === undefined;
}
