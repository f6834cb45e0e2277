import {
  DECISIONS_ANNOTATION,
  MANAGED_LABEL,
  ORIGINAL_IMAGES_ANNOTATION,
  REQUEST_ID_ANNOTATION,
} from '@kuik/contracts';
import { readEntries, REASONS, type Reason, type Verdict } from '@kuik/rules';
import { hasRoomFor } from './annotation-room.ts';
import { originalImages } from './original-images.ts';

/** RFC 6902; only these two are ever needed. */
export interface PatchOperation {
  readonly op: 'add' | 'replace';
  readonly path: string;
  readonly value: string | Readonly<Record<string, string>> | readonly Readonly<Record<string, string>>[];
}

/** What marking needs of a decided image. */
export interface MarkedImage {
  readonly key: string;
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly rule: string;
  readonly original: string;
}

export interface PodMarks {
  readonly labels: Readonly<Record<string, unknown>> | undefined;
  readonly annotations: Readonly<Record<string, unknown>> | undefined;
}

export interface MarkOptions {
  readonly requestId: string;
  readonly proxyPrefixes: readonly string[];
}

type Texts = Readonly<Record<string, string>>;

/**
 * The label and the annotations of a pod that is not left alone: what each container asked for, when its image is cached; why each image
 * is what it is; and the request that found this out, for whoever follows an image through our logs. All of it is kept true over
 * re-invocations: an image that goes through the proxy already keeps its entries, those of containers that are gone go. The label says
 * that an image goes through the proxy. Nothing when all is right already. What there is no room for is left out, the reasons first: the
 * image itself is the truth.
 */
export function markPod(images: readonly MarkedImage[], marks: PodMarks, options: MarkOptions): PatchOperation[] {
  const { labels, annotations } = marks;
  const patch: PatchOperation[] = [];
  if (goesThrough(images) && labels?.[MANAGED_LABEL] !== 'true')
    patch.push(...setKeys('labels', labels, { [MANAGED_LABEL]: 'true' }));

  const request = { [REQUEST_ID_ANNOTATION]: options.requestId };
  const originals = changed(annotations, ORIGINAL_IMAGES_ANNOTATION, originalsOf(images, marks, options));
  const decisions = changed(annotations, DECISIONS_ANNOTATION, decisionsOf(images, marks));
  const candidates: Texts[] = [
    { ...originals, ...decisions, ...request },
    { ...originals, ...request },
  ];
  for (const written of candidates) {
    if (Object.keys(written).length > 1 && hasRoomFor(written, annotations)) {
      patch.push(...setKeys('annotations', annotations, written));
      break;
    }
  }
  return patch;
}

/** Whether an image of the pod is pulled through the proxy. */
export function goesThrough(images: readonly MarkedImage[]): boolean {
  return images.some((image) => image.verdict === 'rewrite' || isThrough(image));
}

/** It went through the proxy before: what was written is in the annotation, or nowhere. */
function isThrough({ reason }: MarkedImage): boolean {
  return reason === REASONS.alreadyRewritten;
}

function originalsOf(images: readonly MarkedImage[], { annotations }: PodMarks, { proxyPrefixes }: MarkOptions): Texts {
  const writtenFor = originalImages(annotations, proxyPrefixes);
  const entries = images.flatMap((image) => {
    if (image.verdict === 'keep') return [];
    const original = isThrough(image) ? writtenFor(image.key, image.original) : image.original;
    return original === undefined ? [] : [[image.key, original] as const];
  });
  return Object.fromEntries(entries);
}

const WAS_REWRITTEN = `${REASONS.rewritten} `;

function decisionsOf(images: readonly MarkedImage[], { annotations }: PodMarks): Texts {
  const before = readEntries(annotations?.[DECISIONS_ANNOTATION]);
  const entries = images.map((image): [string, string] => {
    // It goes through the proxy because an earlier call has rewritten it: that is the reason.
    const earlier = isThrough(image) ? before[image.key] : undefined;
    return [
      image.key,
      earlier !== undefined && earlier.startsWith(WAS_REWRITTEN) ? earlier : `${image.reason} ${image.rule}`,
    ];
  });
  return Object.fromEntries(entries);
}

/** The annotation with these entries; nothing when there are none, or they are there already. */
function changed(annotations: PodMarks['annotations'], annotation: string, entries: Texts): Texts {
  const value = JSON.stringify(entries);
  return value === '{}' || value === annotations?.[annotation] ? {} : { [annotation]: value };
}

function setKeys(
  map: 'labels' | 'annotations',
  existing: Readonly<Record<string, unknown>> | undefined,
  values: Texts,
): PatchOperation[] {
  if (existing === undefined) return [{ op: 'add', path: `/metadata/${map}`, value: values }];
  return Object.entries(values).map(([key, value]) => {
    const step = key.replaceAll('~', '~0').replaceAll('/', '~1');
    return { op: 'add', path: `/metadata/${map}/${step}`, value };
  });
}
