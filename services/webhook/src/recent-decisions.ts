import type { Admission, DecidedImage } from './admit.ts';

/** One answered admission. */
export interface RememberedAdmission {
  /** When it was answered, epoch ms. */
  readonly at: number;
  readonly requestId: string;
  readonly operation: string;
  readonly namespace: string;
  /** The pod's name; with `nameless` what its name was made of afterwards (generateName). */
  readonly pod: string;
  readonly nameless: boolean;
  readonly dryRun: boolean;
  readonly images: readonly DecidedImage[];
  /** Images that are not kept here, because the pod has very many. */
  readonly left: number;
}

/** No legal reference is longer than that; what is no legal one may be as long as a request. */
const TEXT_MAX = 512;
const IMAGES_MAX = 64;
/** Of a made name: what the API server keeps of generateName, and the random letters that follow. */
const GENERATED = { prefixMax: 58, suffix: 5 } as const;

/** The last admissions, newest last, as many as hold `capacity` images together. For `GET /why`; the pod's annotation is the truth. */
export class RecentDecisions {
  readonly #capacity: number;
  readonly #admissions = new Set<RememberedAdmission>();
  #images = 0;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  /** How many are remembered, and the time of the oldest. */
  get extent(): { readonly admissions: number; readonly since: number | undefined } {
    const [oldest] = this.#admissions;
    return { admissions: this.#admissions.size, since: oldest?.at };
  }

  remember(admission: Admission, now: number): void {
    const { uid, operation, namespace, pod, nameless, dryRun, images } = admission;
    const remembered = {
      at: now,
      requestId: bounded(uid),
      operation,
      namespace: bounded(namespace),
      pod: bounded(pod),
      nameless,
      dryRun,
      // As they are, when they may be: no pod should pay for what is hardly ever asked.
      images: images.length <= IMAGES_MAX && images.every(isShort) ? images : images.slice(0, IMAGES_MAX).map(cut),
      left: Math.max(0, images.length - IMAGES_MAX),
    };
    this.#admissions.add(remembered);
    this.#images += weightOf(remembered);
    if (this.#images <= this.#capacity) return;
    for (const oldest of this.#admissions) {
      if (this.#images <= this.#capacity) break;
      this.#admissions.delete(oldest);
      this.#images -= weightOf(oldest);
    }
  }

  /** Admissions of this pod by its name, else those that its name may have been made of; newest first. */
  ofPod(namespace: string, pod: string): RememberedAdmission[] {
    const there = [...this.#admissions].reverse().filter((admission) => admission.namespace === namespace);
    const named = there.filter((admission) => !admission.nameless && admission.pod === pod);
    const made = there.filter((admission) => admission.nameless && isMadeOf(pod, admission.pod));
    // A made name is sent with later requests (ephemeral containers): its creation belongs to it, too.
    return [...named, ...made];
  }

  /** The admission of this id: annotation `kuik.enix.io/request-id` of its pod, `requestId` of our logs. */
  ofRequest(requestId: string): RememberedAdmission | undefined {
    for (const admission of this.#admissions) if (admission.requestId === requestId) return admission;
    return undefined;
  }
}

function weightOf({ images }: RememberedAdmission): number {
  return Math.max(1, images.length);
}

/** Source: k8s.io/apiserver, pkg/storage/names/generate.go. */
function isMadeOf(pod: string, generateName: string): boolean {
  const prefix = generateName.slice(0, GENERATED.prefixMax);
  return prefix !== '' && pod.length === prefix.length + GENERATED.suffix && pod.startsWith(prefix);
}

function isShort({ key, original, image }: DecidedImage): boolean {
  return key.length <= TEXT_MAX && original.length <= TEXT_MAX && image.length <= TEXT_MAX;
}

function cut(image: DecidedImage): DecidedImage {
  return { ...image, key: bounded(image.key), original: bounded(image.original), image: bounded(image.image) };
}

/** A copy where it is cut: a slice would hold the whole text in memory. */
function bounded(text: string): string {
  return text.length <= TEXT_MAX ? text : `${Buffer.from(text.slice(0, TEXT_MAX)).toString()}...`;
}
