import { CACHING_POLICY_LABEL, IMAGE_USED_LIMITS, type ImageUsed } from '@kuik/contracts';
import { leavePodAlone, type Decision } from './decide.ts';
import type { DecisionMemo } from './decision-memo.ts';
import { markPod, type PatchOperation } from './mark-pod.ts';
import { imagesOf, namesOf, type ImageKind, type ImageSlot } from './pod-images.ts';
import { isRecord, type AdmissionRequest } from './review.ts';
import type { Rules } from './rules.ts';

/** A decision and the place in the pod it speaks of. */
export interface DecidedImage extends Decision {
  readonly key: string;
  readonly original: string;
}

/** The answer to one review, as a value: nothing has been sent yet. */
export interface Admission {
  readonly uid: string;
  /** `CREATE`, `ephemeralcontainers`, or `other` for what this webhook is not registered for. */
  readonly operation: 'CREATE' | 'ephemeralcontainers' | 'other';
  readonly namespace: string;
  /** The pod's name, or its generateName. */
  readonly pod: string;
  readonly dryRun: boolean;
  readonly patch: readonly PatchOperation[];
  readonly images: readonly DecidedImage[];
  /** What pod-watcher may be told; undefined on dry run and when nothing goes through the cache. */
  readonly hint: ImageUsed | undefined;
}

export interface AdmitConfig {
  readonly rules: Rules;
  readonly memo: DecisionMemo;
}

const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const ON_CREATE: readonly ImageKind[] = ['containers', 'initContainers', 'ephemeralContainers', 'volumes'];
const ON_DEBUG: readonly ImageKind[] = ['ephemeralContainers'];

/**
 * Decides every image of the review's pod and makes the patch. Pure. On CREATE of a pod all of its images; on UPDATE of
 * `pods/ephemeralcontainers` only those containers that the old object lacks (the API server refuses changes of the others, and
 * drops changes of annotations and labels there, so none are made). Anything else, and an object that is no pod, is let through.
 */
export function admit(request: AdmissionRequest, config: AdmitConfig): Admission {
  const operation = operationOf(request);
  const object = isRecord(request.object) ? request.object : {};
  const metadata = isRecord(object['metadata']) ? object['metadata'] : undefined;
  const spec = isRecord(object['spec']) ? object['spec'] : undefined;
  const dryRun = request.dryRun === true;
  const namespace = text(request.namespace) ?? text(metadata?.['namespace']) ?? '';
  const name = text(metadata?.['name']);
  const pod = name ?? text(metadata?.['generateName']) ?? '';
  const nothing: Admission = {
    uid: request.uid,
    operation,
    namespace,
    pod,
    dryRun,
    patch: [],
    images: [],
    hint: undefined,
  };
  if (operation === 'other' || spec === undefined) return nothing;

  const slots = slotsOf(operation, spec, request.oldObject);
  const labels = isRecord(metadata?.['labels']) ? metadata['labels'] : undefined;
  const annotations = isRecord(metadata?.['annotations']) ? metadata['annotations'] : undefined;
  const alone = leavePodAlone(
    {
      namespace,
      cachingPolicy: text(labels?.[CACHING_POLICY_LABEL]),
      mirror: annotations !== undefined && MIRROR_ANNOTATION in annotations,
    },
    config.rules,
  );
  const images = slots.map((slot): DecidedImage => {
    const decision: Decision =
      alone === undefined
        ? config.memo.decide(slot.image, slot.pullPolicy)
        : { verdict: 'keep', ...alone, image: slot.image };
    return { ...decision, key: slot.key, original: slot.image };
  });
  if (alone !== undefined) return { ...nothing, images };

  const patch: PatchOperation[] = [];
  images.forEach((image, index) => {
    if (image.verdict === 'rewrite') patch.push({ op: 'replace', path: slots[index]!.path, value: image.image });
  });
  if (operation === 'CREATE' && metadata !== undefined)
    patch.push(...markPod(images, { labels, annotations }, request.uid));
  const hint = dryRun ? undefined : hintOf(request.uid, namespace, name, spec, images);
  return { ...nothing, patch, images, hint };
}

function operationOf(request: AdmissionRequest): Admission['operation'] {
  const resource = isRecord(request.resource) ? request.resource : {};
  if (resource['resource'] !== 'pods' || (resource['group'] ?? '') !== '') return 'other';
  const sub = request.subResource ?? '';
  if (request.operation === 'CREATE' && sub === '') return 'CREATE';
  return request.operation === 'UPDATE' && sub === 'ephemeralcontainers' ? 'ephemeralcontainers' : 'other';
}

function slotsOf(
  operation: 'CREATE' | 'ephemeralcontainers',
  spec: Readonly<Record<string, unknown>>,
  oldObject: unknown,
): ImageSlot[] {
  if (operation === 'CREATE') return imagesOf(spec, ON_CREATE);
  const oldSpec = isRecord(oldObject) && isRecord(oldObject['spec']) ? oldObject['spec'] : {};
  const had = namesOf(oldSpec, 'ephemeralContainers');
  return imagesOf(spec, ON_DEBUG).filter((slot) => !had.has(slot.key.slice(2)));
}

function hintOf(
  requestId: string,
  namespace: string,
  pod: string | undefined,
  spec: Readonly<Record<string, unknown>>,
  images: readonly DecidedImage[],
): ImageUsed | undefined {
  const used = new Set(images.flatMap((image) => image.reference ?? []));
  if (used.size === 0) return undefined;
  const secrets: unknown[] = Array.isArray(spec['imagePullSecrets']) ? spec['imagePullSecrets'] : [];
  const pullSecrets = secrets.flatMap((secret) => (isRecord(secret) ? (text(secret['name']) ?? []) : []));
  const serviceAccount = text(spec['serviceAccountName']);
  return {
    namespace,
    ...(pod === undefined ? {} : { pod }),
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    pullSecrets: pullSecrets.slice(0, IMAGE_USED_LIMITS.pullSecrets),
    images: [...used].slice(0, IMAGE_USED_LIMITS.images),
    requestId,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
