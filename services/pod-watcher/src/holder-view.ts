import { PULL_SECRET_PREFIX } from '@kuik/contracts';
import { ALL_KINDS, imageSlots, type PodFacts } from '@kuik/rules';

/** One image that somebody names: `c:` container, `i:` init container, `e:` ephemeral container, `v:` image volume, + its name. */
export interface NamedImage {
  readonly key: string;
  readonly image: string;
  readonly pullPolicy?: string | undefined;
}

/** What a pod asks for, or would ask for once it is made of its template. */
export interface PodNeeds {
  readonly images: readonly NamedImage[];
  /** What was written before the webhook, by key; templates have none: nobody rewrites them. */
  readonly originals: Readonly<Record<string, string>>;
  /** What the rules look at beside its images. */
  readonly facts: Pick<PodFacts, 'labels' | 'annotations' | 'priorityClassName'>;
}

/** What is kept of an object that needs its images now or may need them again: a pod, or what pods are made of. */
export interface HolderView extends PodNeeds {
  /** The collection that it is in, as people are told: `pods`, `deployments`, `Rollout.argoproj.io`. */
  readonly source: string;
  readonly kind: string;
  /** Empty for what is in no namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly deleting: boolean;
  /** When all that it had to do was done, epoch ms. Absent: it still has something to do. */
  readonly finishedAt?: number;
  /** One of several that an owner keeps, to go back to. */
  readonly revision?: Revision;
  /** Those of registries. */
  readonly pullSecrets: readonly string[];
  readonly serviceAccount: string;
  /** What its further templates ask for. */
  readonly more?: readonly PodNeeds[];
}

export interface Revision {
  /** uid of the owner. */
  readonly owner: string;
  /** Grows with each of the owner's revisions. */
  readonly number: number;
  readonly createdAt: string;
  /** It has pods, or is to have some. */
  readonly active: boolean;
}

/** The fields of a pod's spec that are read beside those that name images (`imageSlots`). */
export interface PodSpec {
  serviceAccountName?: string;
  priorityClassName?: string;
  imagePullSecrets?: { name?: string }[];
  [field: string]: unknown;
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: PodSpec;
}

/**
 * What a pod of this template asks for, and whose credentials count. Of the annotations those stay that the rules look at, by key: others
 * are most of a pod's size.
 */
export function needsOf(
  { metadata = {}, spec = {} }: PodTemplate,
  annotationKeys: readonly string[],
): PodNeeds & Pick<HolderView, 'pullSecrets' | 'serviceAccount'> {
  return {
    images: imageSlots(spec, ALL_KINDS).map(({ key, image, pullPolicy }) => ({ key, image, pullPolicy })),
    originals: {},
    facts: factsOf(metadata, annotationKeys, spec.priorityClassName),
    pullSecrets: secretsOf(spec).filter((name) => !name.startsWith(PULL_SECRET_PREFIX)),
    serviceAccount: spec.serviceAccountName || 'default',
  };
}

/** The names of all its pull secrets; the one that admission adds opens no registry but our proxy. */
export function secretsOf({ imagePullSecrets = [] }: PodSpec): string[] {
  return imagePullSecrets.flatMap(({ name }) => (name ? [name] : []));
}

/** What the rules look at in somebody's metadata. */
export function factsOf(
  { labels, annotations = {} }: NonNullable<PodTemplate['metadata']>,
  annotationKeys: readonly string[],
  priorityClassName?: string,
): PodNeeds['facts'] {
  return { labels, annotations: picked(annotations, annotationKeys), priorityClassName };
}

function picked(
  annotations: Readonly<Record<string, string>>,
  keys: readonly string[],
): Record<string, string> | undefined {
  const found = keys.flatMap((key): [string, string][] => {
    const value = annotations[key];
    return value === undefined ? [] : [[key, value]];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** `pods default/web`: one for each object of the cluster. */
export function holderKey(holder: Pick<HolderView, 'source' | 'namespace' | 'name'>): string {
  return `${holder.source} ${holder.namespace}/${holder.name}`;
}

/** `Deployment shop/web`, as people are told. */
export function holderTitle({ kind, namespace, name }: Pick<HolderView, 'kind' | 'namespace' | 'name'>): string {
  return `${kind} ${fullName({ namespace, name })}`;
}

/** `shop/web`; `web` of what is in no namespace. */
export function fullName({ namespace, name }: Pick<HolderView, 'namespace' | 'name'>): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
