import type { CachedImage, Repository } from '@kuik/contracts';
import { type Reference, repositoryName, tryParseReference } from '@kuik/image';
import type { Clock, Logger } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { factsOf, recordedFacts, withFacts } from './facts.ts';
import { freeImageName, freeRepositoryName, imageIdentity } from './identity.ts';
import { onlyHoldersDiffer } from './holders-only.ts';
import type { Intents } from './intents.ts';
import { nextStep, type RetryTimes, type Step } from './next-step.ts';
import type { ResourceWriter } from './resource-writer.ts';
import { recordedSummary, summarise } from './summary.ts';
import { sameJson } from './same-json.ts';

/** What other parts know of an image that no resource shows yet. */
export interface ImageHints {
  /** The webhook admitted a pod for it a moment ago: until when that counts (epoch ms), and the request that it follows. */
  expected(image: string): { readonly until: number; readonly requestId: string } | undefined;
  /** Epoch ms. */
  lastPulled(image: string): number | undefined;
}

export interface ImageReconcilerParts {
  readonly view: ClusterView;
  readonly writer: Pick<
    ResourceWriter,
    'createImage' | 'createRepository' | 'adoptImage' | 'dropForceWish' | 'applyDescription'
  >;
  readonly intents: Intents;
  readonly hints: ImageHints;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retry: RetryTimes;
  readonly unusedMs: number;
  /** A new image is described after this time, or once its copy ended, ms. */
  readonly settleMs: number;
  /** When nothing but its holders changed, an image is described again no sooner than this, ms. */
  readonly holdersMs: number;
  readonly count: (step: Step) => void;
}

/** How long an intent waits that the queue did not take. */
const QUEUE_RETRY_MS = 5_000;

/** Everything that has to be true of one image (canonical text): its object exists, says who uses it, and its copy is under way. */
export class ImageReconciler {
  readonly #parts: ImageReconcilerParts;
  /** When an image was described, by uid (monotonic ms); those of the last `holdersMs`. */
  readonly #described = new Map<string, number>();

  constructor(parts: ImageReconcilerParts) {
    this.#parts = parts;
  }

  /** Returns when to look again, when something is known to change with time alone. Throws KubeError. */
  async reconcile(image: string): Promise<{ afterMs: number } | undefined> {
    const { view, hints, clock, settleMs } = this.#parts;
    const reference = tryParseReference(image);
    const expected = hints.expected(image);
    const used = view.usage.holdersOf(image).size > 0 || expected !== undefined;
    const isNew = view.images.of(image).length === 0;
    if (isNew) {
      if (!used || reference === undefined) return undefined;
      await this.#create(reference);
    }
    const waits = expected === undefined ? [] : [expected.until - clock.now()];
    const [first, ...duplicates] = view.images.of(image);
    if (first === undefined) return undefined;
    if (reference !== undefined) {
      await this.#adopt(first, reference);
      const current = view.images.named(first.metadata.name) ?? first;
      const wait = await this.#step(current, reference, used, expected?.requestId);
      if (wait !== undefined) waits.push(wait);
    }
    // Many images may be new at once: all copies start before anything is described, and most are described once.
    if (isNew) return { afterMs: Math.max(settleMs, 1) };
    const current = view.images.named(first.metadata.name) ?? first;
    for (const image of [current, ...duplicates]) {
      const wait = await this.#describe(image, image === current ? undefined : first.metadata.name);
      if (wait !== undefined) waits.push(wait);
    }
    return waits.length === 0 ? undefined : { afterMs: Math.max(Math.min(...waits), 1) };
  }

  async #create(reference: Reference): Promise<void> {
    const { view, writer, log } = this.#parts;
    const repository = await this.#repository(reference);
    const taken = new Set<string>();
    for (;;) {
      const name = freeImageName(
        reference,
        (candidate) => taken.has(candidate) || view.images.named(candidate) !== undefined,
      );
      if (name === undefined) throw new Error(`every name for the CachedImage of ${reference.path} is taken`);
      const made = await writer.createImage(name, reference, repository);
      if (made !== undefined) {
        log.info('cached image created', { image: imageIdentity(made), object: name });
        return;
      }
      taken.add(name);
    }
  }

  async #repository(reference: Reference): Promise<Repository> {
    const { view, writer } = this.#parts;
    const taken = new Set<string>();
    for (;;) {
      const [known] = view.repositories.of(repositoryName(reference));
      if (known !== undefined) return known;
      const name = freeRepositoryName(
        reference,
        (candidate) => taken.has(candidate) || view.repositories.named(candidate) !== undefined,
      );
      if (name === undefined) throw new Error(`every name for the Repository of ${reference.path} is taken`);
      const made = await writer.createRepository(name, reference);
      if (made !== undefined) return made;
      taken.add(name);
    }
  }

  async #adopt(image: CachedImage, reference: Reference): Promise<void> {
    if (image.metadata.deletionTimestamp !== undefined) return;
    await this.#parts.writer.adoptImage(image, reference, await this.#repository(reference));
  }

  /** Carries the next step out; returns ms until the one after it, when time alone brings it. */
  async #step(
    image: CachedImage,
    reference: Reference,
    held: boolean,
    requestId?: string,
  ): Promise<number | undefined> {
    const { intents, clock, retry, count, log, writer } = this.#parts;
    if (intents.forceAnswered(image)) {
      await writer.dropForceWish(image);
      return undefined;
    }
    const context = { duplicate: false, held, forced: intents.unraisedForce(image), retry };
    const step = nextStep(image, context, clock.now());
    count(step);
    if (step.do === 'wait') return step.until - clock.now();
    if (step.do === 'nothing') return undefined;
    if (await intents.raise(image, reference, step.reason, requestId)) return undefined;
    log.warn('copy intent waits for the queue', { image: imageIdentity(image), reason: step.reason });
    return QUEUE_RETRY_MS;
  }

  /**
   * The facts, and the summary of what the resource says with them; written when either differs. A thousand pods that start together are
   * not a thousand writes: returns ms until it may be told that only the holders changed.
   */
  async #describe(image: CachedImage, duplicateOf: string | undefined): Promise<number | undefined> {
    const { view, writer, hints, clock, unusedMs, holdersMs } = this.#parts;
    const identity = imageIdentity(image);
    const now = clock.now();
    const facts = factsOf(image, {
      holders: view.usage.holdersOf(identity),
      expected: hints.expected(identity) !== undefined,
      lastPulled: hints.lastPulled(identity),
      unusedMs,
      now,
    });
    const summary = summarise(withFacts(image, facts), now, duplicateOf);
    const [next, recorded] = [
      { ...facts, ...summary },
      { ...recordedFacts(image), ...recordedSummary(image) },
    ];
    if (sameJson(next, recorded)) return undefined;
    const since = clock.monotonic() - (this.#described.get(image.metadata.uid) ?? -Infinity);
    if (since < holdersMs && onlyHoldersDiffer(recorded, next)) return holdersMs - since;
    await writer.applyDescription(image, next);
    this.#remember(image.metadata.uid);
    return undefined;
  }

  #remember(uid: string): void {
    const now = this.#parts.clock.monotonic();
    this.#described.delete(uid);
    this.#described.set(uid, now);
    for (const [old, at] of this.#described) {
      if (now - at < this.#parts.holdersMs) return;
      this.#described.delete(old);
    }
  }
}
