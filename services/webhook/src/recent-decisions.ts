import type { Verdict } from '@kuik/rules';
import type { Admission, DecidedImage } from './admit.ts';

/** What became of one image. */
interface RememberedImage {
  /** `c:`, `i:`, `e:` or `v:` and the name of the container or volume. */
  readonly key: string;
  /** As the pod asked for it when it was sent to us. */
  readonly asked: string;
  /** As the pod got it. */
  readonly got: string;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly rule: string;
}

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
  readonly images: readonly RememberedImage[];
  /** Images that are not kept here, because the pod has very many. */
  readonly left: number;
}

const MIB = 1024 * 1024;
/** No legal reference is longer; what is no legal one may be as long as a request. */
const TEXT_MAX = 512;
const IMAGES_MAX = 64;
/** Of a made name: what the API server keeps of generateName, and the random letters that follow. */
const GENERATED = { prefixMax: 58, suffix: 5 } as const;

/**
 * The last admissions, as many as a ring of so many bytes holds: a few thousand. For `GET /why`; the pod's annotation is the truth. Lines
 * of JSON in one buffer, because objects that live for minutes cost every admission more than the decision does (the collector copies them).
 */
export class RecentDecisions {
  readonly #ring: Buffer;
  /** Where the next line goes. Before it are the newest lines; from it to `#end` what is left of the lap before. */
  #next = 0;
  #end = 0;

  constructor(bytes = 2 * MIB) {
    this.#ring = Buffer.alloc(bytes);
  }

  remember(admission: Admission, now: number): void {
    const { uid, operation, namespace, pod, nameless, dryRun, images } = admission;
    const remembered: RememberedAdmission = {
      at: now,
      requestId: cut(uid),
      operation,
      namespace: cut(namespace),
      pod: cut(pod),
      nameless,
      dryRun,
      images: (images.length <= IMAGES_MAX ? images : images.slice(0, IMAGES_MAX)).map(shortened),
      left: Math.max(0, images.length - IMAGES_MAX),
    };
    const line = `${JSON.stringify(remembered)}\n`;
    const length = Buffer.byteLength(line);
    if (length > this.#ring.length) return;
    if (this.#next + length > this.#ring.length) {
      this.#end = this.#next;
      this.#next = 0;
    }
    this.#next += this.#ring.write(line, this.#next);
  }

  /** How many are remembered, and the time of the oldest. */
  get extent(): { readonly admissions: number; readonly since: number | undefined } {
    const lines = this.#lines();
    return { admissions: lines.length, since: lines.slice(0, 1).map(read)[0]?.at };
  }

  /** Admissions of this pod by its name, and those that its name may have been made of; newest first. */
  ofPod(namespace: string, pod: string): RememberedAdmission[] {
    return this.#find(`"namespace":${JSON.stringify(namespace)}`).filter((admission) =>
      admission.nameless ? isMadeOf(pod, admission.pod) : admission.pod === pod,
    );
  }

  /** The admission of this id: annotation `kuik.enix.io/request-id` of its pod, `requestId` of our logs. */
  ofRequest(requestId: string): RememberedAdmission | undefined {
    return this.#find(`"requestId":${JSON.stringify(requestId)}`)[0];
  }

  /** Only lines with this text are read at all. */
  #find(text: string): RememberedAdmission[] {
    return this.#lines()
      .filter((line) => line.includes(text))
      .map(read)
      .reverse();
  }

  /** Oldest first. What the newest line has left of an old one is no line. */
  #lines(): string[] {
    const older = this.#ring.toString('utf8', this.#next, Math.max(this.#next, this.#end)).split('\n').slice(1);
    const newer = this.#ring.toString('utf8', 0, this.#next).split('\n');
    return [...older, ...newer].filter((line) => line !== '');
  }
}

function read(line: string): RememberedAdmission {
  return JSON.parse(line) as RememberedAdmission;
}

function shortened({ key, original, image, verdict, reason, rule }: DecidedImage): RememberedImage {
  return { key: cut(key), asked: cut(original), got: cut(image), verdict, reason, rule };
}

/** Source: k8s.io/apiserver, pkg/storage/names/generate.go. */
function isMadeOf(pod: string, generateName: string): boolean {
  const prefix = generateName.slice(0, GENERATED.prefixMax);
  return prefix !== '' && pod.length === prefix.length + GENERATED.suffix && pod.startsWith(prefix);
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}...`;
}
