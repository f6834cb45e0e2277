import { isRecord } from './json-object.ts';
import type { Labels } from './label-selector.ts';
import type { RulesFile } from './rules-file.ts';

/** A kubelet shows a static pod by this mirror: the API server refuses any change of it. */
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** Priority class of what a node needs to run at all. */
export const NODE_CRITICAL = 'system-node-critical';

/** What the rules look at in a pod, beside its images. */
export interface PodFacts {
  readonly namespace: string;
  /** Absent: not known here (the API server looks at them before it asks us), so nothing is decided by them. */
  readonly namespaceLabels?: Labels | undefined;
  readonly labels: Labels | undefined;
  /** At least those of `annotationKeys`. */
  readonly annotations: Labels | undefined;
  readonly priorityClassName: unknown;
  /** The uid of an owner of it whose pods are not to be rewritten, because they fought it; absent when there is none. */
  readonly sparedOwner?: string | undefined;
  /** `spec`, for what it demands of its node; absent when it only matters whether images are cached. */
  readonly spec?: unknown;
}

/**
 * The facts of a pod as the API server sends it; what is not of the right shape is taken for absent. `isSpared` tells of the uid of an
 * owner whether its pods are not to be rewritten.
 */
export function podFacts(
  namespace: string,
  metadata: unknown,
  spec: Readonly<Record<string, unknown>>,
  isSpared: (ownerUid: string) => boolean = () => false,
): PodFacts {
  const { labels, annotations, ownerReferences } = isRecord(metadata) ? metadata : {};
  return {
    namespace,
    labels: isRecord(labels) ? labels : undefined,
    annotations: isRecord(annotations) ? annotations : undefined,
    priorityClassName: spec['priorityClassName'],
    sparedOwner: ownerUids(ownerReferences).find(isSpared),
    spec,
  };
}

function ownerUids(references: unknown): string[] {
  const owners: unknown[] = Array.isArray(references) ? references : [];
  return owners.flatMap((owner) => (isRecord(owner) && typeof owner['uid'] === 'string' ? [owner['uid']] : []));
}

/** The keys of all annotations that these rules look at. */
export function annotationKeys({ skipAnnotations }: RulesFile): string[] {
  return [MIRROR_ANNOTATION, ...skipAnnotations.map((text) => text.split('=')[0]!)];
}

/** It stands for a static pod. */
export function isMirror({ annotations }: PodFacts): boolean {
  return annotations !== undefined && Object.hasOwn(annotations, MIRROR_ANNOTATION);
}
