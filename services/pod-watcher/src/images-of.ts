import {
  formatReference,
  fromProxyImage,
  isLoopbackHost,
  toCacheRepository,
  tryParseReference,
  type Reference,
} from '@kuik/image';
import type { PodImage, PodView } from './pod-view.ts';

/** Why an image of a pod is not kept; stable. */
export const SKIP_REASONS = {
  namespaceIgnored: 'NamespaceIgnored',
  optedOut: 'OptedOut',
  proxyImageUnreadable: 'ProxyImageUnreadable',
  leftByWebhook: 'LeftByWebhook',
  notAReference: 'NotAReference',
  pullPolicyNever: 'PullPolicyNever',
  localRegistry: 'LocalRegistry',
  notEncodable: 'NotEncodable',
} as const;
export type SkipReason = (typeof SKIP_REASONS)[keyof typeof SKIP_REASONS];

export interface UsedImage {
  readonly key: string;
  /** Canonical text: the image's identity. */
  readonly image: string;
  readonly reference: Reference;
}

export interface SkippedImage {
  readonly key: string;
  readonly image: string;
  readonly reason: SkipReason;
}

export interface PodImages {
  readonly used: readonly UsedImage[];
  readonly skipped: readonly SkippedImage[];
}

export interface UsageRules {
  readonly proxyPrefixes: readonly string[];
  /** Namespaces whose pods are none of our business: kube-system and our own. */
  readonly ignoreNamespaces: readonly string[];
}

/**
 * The images that a pod uses. The first rule that applies, per image:
 * 1. it goes through the proxy and reads back: used (the rewritten image is itself the truth; what was written only chooses
 *    between two readings of kuik v1's ambiguous forms); 2. it names the proxy but reads as nothing: skipped;
 * 3. the pod is in an ignored namespace; 4. or opted out; 5. the webhook decided about this pod and left this image alone;
 * 6. it is no reference; 7. it is never pulled; 8. its registry is the node's own; 9. it has no place in the cache: skipped;
 * 10. used: pods that the webhook never saw are kept too.
 */
export function imagesOf(
  pod: PodView,
  rules: UsageRules,
  readings: ImageReadings = new ImageReadings(rules.proxyPrefixes),
): PodImages {
  const used: UsedImage[] = [];
  const skipped: SkippedImage[] = [];
  for (const image of pod.images) {
    const found = readImage(image, pod, rules, readings);
    if (typeof found === 'string') skipped.push({ key: image.key, image: image.image, reason: found });
    else used.push({ key: image.key, image: found.image, reference: found.reference });
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
  readonly #known = new Map<string, Reading | SkipReason>();

  constructor(proxyPrefixes: readonly string[]) {
    this.#proxyPrefixes = proxyPrefixes;
  }

  /** An image that goes through the proxy. `written` is what the pod's author wrote. */
  proxied(image: string, written: string | undefined): Reading | SkipReason {
    return this.#once(`${image}\n${written ?? ''}`, () =>
      chooseReading(fromProxyImage(image, this.#proxyPrefixes), written),
    );
  }

  /** An image that its registry is asked for. */
  direct(image: string): Reading | SkipReason {
    return this.#once(image, () => {
      const reference = tryParseReference(image);
      if (reference === undefined) return SKIP_REASONS.notAReference;
      if (isLoopbackHost(reference.host)) return SKIP_REASONS.localRegistry;
      return kept(reference);
    });
  }

  #once(key: string, read: () => Reading | SkipReason): Reading | SkipReason {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= READINGS_MAX) this.#known.clear();
    const reading = read();
    this.#known.set(key, reading);
    return reading;
  }
}

function readImage(
  { key, image, pullPolicy }: PodImage,
  pod: PodView,
  rules: UsageRules,
  readings: ImageReadings,
): Reading | SkipReason {
  if (rules.proxyPrefixes.some((prefix) => image.startsWith(`${prefix}/`))) {
    return readings.proxied(image, pod.originals[key]);
  }
  if (rules.ignoreNamespaces.includes(pod.namespace)) return SKIP_REASONS.namespaceIgnored;
  if (pod.optedOut) return SKIP_REASONS.optedOut;
  if (pod.decided) return SKIP_REASONS.leftByWebhook;
  const reading = readings.direct(image);
  if (pullPolicy === 'Never' && reading !== SKIP_REASONS.notAReference) return SKIP_REASONS.pullPolicyNever;
  return reading;
}

function chooseReading(readings: readonly Reference[], written: string | undefined): Reading | SkipReason {
  const original = written === undefined ? undefined : tryParseReference(written);
  const text = original === undefined ? undefined : formatReference(original);
  const chosen = readings.find((reading) => formatReference(reading) === text) ?? readings[0];
  return chosen === undefined ? SKIP_REASONS.proxyImageUnreadable : kept(chosen);
}

function kept(reference: Reference): Reading | SkipReason {
  if (toCacheRepository(reference) === undefined) return SKIP_REASONS.notEncodable;
  return { image: formatReference(reference), reference };
}
