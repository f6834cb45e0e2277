import type { KubeObject } from '@kuik/kube';
import { z } from 'zod';
import { factsOf, type HolderView, needsOf, type PodTemplate } from './holder-view.ts';
import { type JsonPath, parseJsonPath, valuesAt } from './json-path.ts';

const path = z.string().transform((text, context): JsonPath => {
  const parsed = parseJsonPath(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({
    code: 'custom',
    message: `is no path: write for example .spec.template, .spec.sets[*].template or .spec['a.b']`,
  });
  return z.NEVER;
});
const paths = z.array(path).default([]);
const part = path.optional();

/** A kind of somebody else's that holds images, and where its objects name them. */
const configuredKind = z
  .strictObject({
    apiVersion: z
      .string()
      .regex(/^([a-z0-9.-]+\/)?v[a-z0-9]+$/, 'must look like group/version, as argoproj.io/v1alpha1'),
    kind: z.string().regex(/^[A-Z][A-Za-z0-9]*$/, 'must be a kind, as Rollout'),
    podTemplates: paths.describe('Paths to pod templates ({metadata, spec}): .spec.template'),
    podSpecs: paths.describe('Paths to pod specs: .spec.template.spec'),
    images: z
      .array(z.union([path, z.strictObject({ registry: part, repository: path, tag: part, digest: part })]))
      .default([])
      .describe(
        'Paths to images: a text, or an object with repository and registry, tag, digest (as Helm values have them); or one path for each of these',
      ),
  })
  .refine(({ podTemplates, podSpecs, images }) => podTemplates.length + podSpecs.length + images.length > 0, {
    message: 'needs podTemplates, podSpecs or images: where its objects name their images',
  })
  // Not one role of ours may list or watch Secrets, and what is followed is kept in memory.
  .refine(({ apiVersion, kind }) => apiVersion.includes('/') || kind !== 'Secret', {
    path: ['kind'],
    message: 'cannot be Secret: Secrets are read by name alone, never listed',
  });
export type ConfiguredKind = z.output<typeof configuredKind>;

/** All of them, each once: the paths of one kind belong together. */
export const configuredKinds = z
  .array(configuredKind)
  .default([])
  .superRefine((kinds, context) => {
    const names = kinds.map(kindName);
    names.forEach((name, index) => {
      if (names.indexOf(name) === index) return;
      context.addIssue({
        code: 'custom',
        path: [index, 'kind'],
        message: `names ${name} again: put all its paths in one entry`,
      });
    });
  });

/** `Rollout.argoproj.io`: tells kinds of one name apart, before the API server has said what their collection is called. */
export function kindName({ apiVersion, kind }: Pick<ConfiguredKind, 'apiVersion' | 'kind'>): string {
  return apiVersion.includes('/') ? `${kind}.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : kind;
}

/** The projection of such an object: each of its templates as a pod of it would be, and the images that it names by itself. */
export function viewConfigured(
  kind: ConfiguredKind,
  object: KubeObject,
  annotationKeys: readonly string[],
): HolderView {
  const { metadata } = object;
  const templates = [
    ...kind.podTemplates.flatMap((path) => valuesAt(object, path)),
    ...kind.podSpecs.flatMap((path) => valuesAt(object, path).map((spec) => ({ spec }))),
  ].flatMap((template) => readNeeds(template, annotationKeys));
  const images = kind.images
    .flatMap((source) => imagesAt(object, source))
    .map((image, index) => ({ key: `p:${index}`, image }));
  const named = { images, originals: {}, facts: factsOf(metadata, annotationKeys) };
  const [first = named, ...more] = images.length === 0 ? templates : [...templates, named];
  return {
    ...first,
    more,
    pullSecrets: [...new Set(templates.flatMap(({ pullSecrets }) => pullSecrets))],
    serviceAccount: templates[0]?.serviceAccount ?? 'default',
    source: kindName(kind),
    kind: kind.kind,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid,
    deleting: metadata.deletionTimestamp !== undefined,
  };
}

/** Nobody vouches for the shape of what is there: what reads as no template names nothing. */
function readNeeds(template: unknown, annotationKeys: readonly string[]): ReturnType<typeof needsOf>[] {
  try {
    return [needsOf(template as PodTemplate, annotationKeys)];
  } catch {
    return [];
  }
}

function imagesAt(object: unknown, source: ConfiguredKind['images'][number]): string[] {
  if ('steps' in source) return valuesAt(object, source).flatMap(readImage);
  const one = (path: JsonPath | undefined): unknown => (path === undefined ? undefined : valuesAt(object, path)[0]);
  const { registry, repository, tag, digest } = source;
  return readImage({ registry: one(registry), repository: one(repository), tag: one(tag), digest: one(digest) });
}

/** A reference as text; `oci://`, as Flux and Helm write it, is left out. */
function readImage(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value.replace(/^oci:\/\//, '')];
  if (typeof value !== 'object' || value === null) return [];
  const { registry, repository, tag, digest } = value as Record<string, unknown>;
  if (typeof repository !== 'string' || repository === '') return [];
  const text = (before: string, part: unknown, after = ''): string =>
    (typeof part === 'string' && part !== '') || typeof part === 'number' ? `${before}${part}${after}` : '';
  return readImage(`${text('', registry, '/')}${repository}${text(':', tag)}${text('@', digest)}`);
}
