import { MANAGED_LABEL, ORIGINAL_IMAGES_ANNOTATION, REQUEST_ID_ANNOTATION } from '@kuik/contracts';
import { isRecord, REASONS, type Reason, type Verdict } from '@kuik/rules';

/** RFC 6902; only these two are ever needed. */
export interface PatchOperation {
  readonly op: 'add' | 'replace';
  readonly path: string;
  readonly value: string | Readonly<Record<string, string>>;
}

/** What marking needs of a decided image. */
export interface MarkedImage {
  readonly key: string;
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly original: string;
}

export interface PodMarks {
  readonly labels: Readonly<Record<string, unknown>> | undefined;
  readonly annotations: Readonly<Record<string, unknown>> | undefined;
}

/** The API server refuses an object whose annotations are larger than this in sum. */
const ANNOTATIONS_MAX = 256 * 1024;

/**
 * The label and the annotations of a pod whose images are cached: what each container asked for, kept over re-invocations (an image that
 * goes through the proxy already keeps its entry), without entries of containers that are gone; and the request that found this out, for
 * whoever follows an image through our logs. The label says that an image goes through the proxy: a pod that is only observed has none.
 * Nothing when they are right already. Without the room for it the annotation is left out: the image itself is the truth.
 */
export function markPod(images: readonly MarkedImage[], marks: PodMarks, requestId: string): PatchOperation[] {
  const cached = images.filter((image) => image.verdict !== 'keep');
  if (cached.length === 0) return [];
  const patch: PatchOperation[] = [];
  const through = cached.some((image) => image.verdict === 'rewrite' || isThrough(image));
  if (through && marks.labels?.[MANAGED_LABEL] !== 'true')
    patch.push(...setKeys('labels', marks.labels, { [MANAGED_LABEL]: 'true' }));

  const before = marks.annotations?.[ORIGINAL_IMAGES_ANNOTATION];
  const known = readOriginals(before);
  const originals: Record<string, string> = {};
  for (const image of cached) {
    const original = isThrough(image) ? known[image.key] : image.original;
    if (original !== undefined) originals[image.key] = original;
  }
  const value = JSON.stringify(originals);
  if (value === '{}' || value === before) return patch;
  const written = { [ORIGINAL_IMAGES_ANNOTATION]: value, [REQUEST_ID_ANNOTATION]: requestId };
  if (sizeOf(othersOf(marks.annotations)) + sizeOf(written) <= ANNOTATIONS_MAX) {
    patch.push(...setKeys('annotations', marks.annotations, written));
  }
  return patch;
}

/** It went through the proxy before: what was written is in the annotation, or nowhere. */
function isThrough({ reason }: MarkedImage): boolean {
  return reason === REASONS.alreadyRewritten;
}

/** The annotation's entries; empty for a text that is not ours. */
function readOriginals(value: unknown): Record<string, string> {
  if (typeof value !== 'string') return {};
  try {
    const parsed = JSON.parse(value) as unknown;
    if (!isRecord(parsed)) return {};
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

function setKeys(
  map: 'labels' | 'annotations',
  existing: Readonly<Record<string, unknown>> | undefined,
  values: Readonly<Record<string, string>>,
): PatchOperation[] {
  if (existing === undefined) return [{ op: 'add', path: `/metadata/${map}`, value: values }];
  return Object.entries(values).map(([key, value]) => {
    const step = key.replaceAll('~', '~0').replaceAll('/', '~1');
    return { op: 'add', path: `/metadata/${map}/${step}`, value };
  });
}

/** Bytes of annotations, as the API server counts them. */
function sizeOf(annotations: Readonly<Record<string, unknown>> | undefined): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  return bytes;
}

/** Those that are not ours: what is written over does not count twice. */
function othersOf(annotations: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  const { [ORIGINAL_IMAGES_ANNOTATION]: _originals, [REQUEST_ID_ANNOTATION]: _request, ...others } = annotations ?? {};
  return others;
}
