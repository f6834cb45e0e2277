import { formatReference, fromProxyImage, toCacheRepository, tryParseReference, type Reference } from '@kuik/image';
import { isAlwaysPulled, REASONS, type Decider, type PodFacts, type Reason } from '@kuik/rules';
import type { HolderView } from './holder-view.ts';

export interface UsedImage {
  readonly key: string;
  /** Canonical text: the image's identity. */
  readonly image: string;
  readonly reference: Reference;
  /** Its pull policy is `Always`: whoever wrote that wants the tag's newest image. */
  readonly always?: true;
}

export interface SkippedImage {
  readonly key: string;
  readonly image: string;
  readonly reason: Reason;
}

export interface PodImages {
  readonly used: readonly UsedImage[];
  readonly skipped: readonly SkippedImage[];
}

/**
 * The images that a pod uses, or that pods of a template would: those that the rules have cached, whoever admitted them. One that goes through the proxy is used
 * whatever they say (the rewritten image is itself the truth; what was written only chooses between two readings of kuik v1's ambiguous
 * forms). What has no place in the cache is skipped all the same.
 */
export function imagesOf(
  holder: HolderView,
  decider: Decider,
  readings: ImageReadings = new ImageReadings(decider.proxyPrefixes),
  namespaceLabels?: PodFacts['namespaceLabels'],
): PodImages {
  const used: UsedImage[] = [];
  const skipped: SkippedImage[] = [];
  for (const { facts, images, originals } of [holder, ...(holder.more ?? [])]) {
    const decisions = decider.decide({ ...facts, namespace: holder.namespace, namespaceLabels }, images).images;
    images.forEach(({ key, image, pullPolicy }, index) => {
      const decision = decisions[index]!;
      let found: Reading | Reason;
      if (decision.verdict === 'keep') found = decision.reason;
      else if (decision.reason === REASONS.alreadyRewritten) found = readings.proxied(image, originals[key]);
      else found = readings.direct(decision.reference);
      if (typeof found === 'string') skipped.push({ key, image, reason: found });
      else {
        const always = isAlwaysPulled(pullPolicy, found.reference.tag) ? ({ always: true } as const) : {};
        used.push({ key, image: found.image, reference: found.reference, ...always });
      }
    });
  }
  return { used, skipped };
}

interface Reading {
  /** Canonical text. */
  readonly image: string;
  readonly reference: Reference;
}

const READINGS_MAX = 20_000;

/** What the texts of images mean. The same text is read once, however many pods name it; forgotten when there are too many. */
export class ImageReadings {
  readonly #proxyPrefixes: readonly string[];
  readonly #known = new Map<string, Reading | Reason>();

  constructor(proxyPrefixes: readonly string[]) {
    this.#proxyPrefixes = proxyPrefixes;
  }

  /** An image that goes through the proxy. `written` is what the pod's author wrote. */
  proxied(image: string, written: string | undefined): Reading | Reason {
    return this.#once(`${image}\n${written ?? ''}`, () =>
      chooseReading(fromProxyImage(image, this.#proxyPrefixes), written),
    );
  }

  /** An image that its registry is asked for, canonical. */
  direct(image: string): Reading | Reason {
    return this.#once(image, () => {
      const reference = tryParseReference(image);
      return reference === undefined ? REASONS.notAReference : kept(reference);
    });
  }

  #once(key: string, read: () => Reading | Reason): Reading | Reason {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= READINGS_MAX) this.#known.clear();
    const reading = read();
    this.#known.set(key, reading);
    return reading;
  }
}

function chooseReading(readings: readonly Reference[], written: string | undefined): Reading | Reason {
  const original = written === undefined ? undefined : tryParseReference(written);
  const text = original === undefined ? undefined : formatReference(original);
  const chosen = readings.find((reading) => formatReference(reading) === text) ?? readings[0];
  return chosen === undefined ? REASONS.proxyImageUnreadable : kept(chosen);
}

function kept(reference: Reference): Reading | Reason {
  if (toCacheRepository(reference) === undefined) return REASONS.notEncodable;
  return { image: formatReference(reference), reference };
}
