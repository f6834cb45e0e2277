import { IMAGE_USED_LIMITS, type ImageUsed, PULL_SECRET_PREFIX } from '@kuik/contracts';
import {
  ALL_KINDS,
  imageSlots,
  isRecord,
  namesOf,
  podFacts,
  type Decider,
  type Decision,
  type ImageKind,
  type ImageSlot,
} from '@kuik/rules';
import { goesThrough, markPod, type PatchOperation } from './mark-pod.ts';
import { addPullSecret } from './pull-secret.ts';
import type { AdmissionRequest } from './review.ts';

/** A decision and the place in the pod it speaks of. */
export type DecidedImage = Decision & { readonly key: string; readonly original: string };

/** The answer to one review, as a value: nothing has been sent yet. */
export interface Admission {
  readonly uid: string;
  /** `CREATE`, `ephemeralcontainers`, or `other` for what this webhook is not registered for. */
  readonly operation: 'CREATE' | 'ephemeralcontainers' | 'other';
  readonly namespace: string;
  /** The pod's name, or its generateName. */
  readonly pod: string;
  /** The name was still to be made of `pod`. */
  readonly nameless: boolean;
  readonly dryRun: boolean;
  readonly patch: readonly PatchOperation[];
  readonly images: readonly DecidedImage[];
  /** What pod-watcher may be told; undefined on dry run and when nothing goes through the cache. */
  readonly hint: ImageUsed | undefined;
}

const ON_DEBUG: readonly ImageKind[] = ['ephemeralContainers'];

/**
 * Decides every image of the review's pod and makes the patch. Pure. On CREATE of a pod all of its images; on UPDATE of
 * `pods/ephemeralcontainers` only those containers that the old object lacks (the API server refuses changes of the others, and
 * drops changes of annotations and labels there, so none are made). Anything else, and an object that is no pod, is let through.
 * `isSpared` tells of owners whose pods are not to be rewritten.
 */
export function admit(
  request: AdmissionRequest,
  decider: Decider,
  isSpared?: (ownerUid: string) => boolean,
): Admission {
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
    nameless: name === undefined,
    dryRun,
    patch: [],
    images: [],
    hint: undefined,
  };
  if (operation === 'other' || spec === undefined) return nothing;

  const slots = slotsOf(operation, spec, request.oldObject);
  const facts = podFacts(namespace, metadata, spec, isSpared);
  const decided = decider.decide(facts, slots);
  const images = slots.map(({ key, image: original }, index): DecidedImage => ({
    ...decided.images[index]!,
    key,
    original,
  }));
  const hint = dryRun ? undefined : hintOf(request.uid, namespace, name, spec, images);
  // Left alone means that nothing of the pod is touched, its labels and annotations included.
  if (decided.pod?.verdict === 'keep') return { ...nothing, images, hint };

  const patch: PatchOperation[] = [];
  images.forEach((image, index) => {
    if (image.verdict === 'rewrite') patch.push({ op: 'replace', path: slots[index]!.path, value: image.image });
  });
  if (operation === 'CREATE' && metadata !== undefined) {
    const { proxyPrefixes, pullSecrets } = decider;
    patch.push(...markPod(images, facts, { requestId: request.uid, proxyPrefixes }));
    if (pullSecrets && goesThrough(images)) patch.push(...addPullSecret(spec));
  }
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
  if (operation === 'CREATE') return imageSlots(spec, ALL_KINDS);
  const oldSpec = isRecord(oldObject) && isRecord(oldObject['spec']) ? oldObject['spec'] : {};
  const had = namesOf(oldSpec, 'ephemeralContainers');
  return imageSlots(spec, ON_DEBUG).filter((slot) => !had.has(slot.key.slice(2)));
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
  const pullSecrets = secrets
    .flatMap((secret) => (isRecord(secret) ? (text(secret['name']) ?? []) : []))
    .filter((name) => !name.startsWith(PULL_SECRET_PREFIX));
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
