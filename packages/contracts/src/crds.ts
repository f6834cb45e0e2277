import { stringify } from 'yaml';
import { z } from 'zod';
import { GROUP, VERSION } from './names.ts';
import { cachedImageSpec, cachedImageStatus, repositorySpec, repositoryStatus } from './resources.ts';
import { DIGEST, imageRules, repositoryRules } from './reference-rules.ts';
import { structuralSchema, type SchemaExtras } from './structural-schema.ts';

const rule = (expression: string, message: string) => ({ rule: expression, message });

const POSITIVE_DURATION = "self.matches('^([0-9]+(\\\\.[0-9]+)?(d|h|m|s))+$') && self.matches('[1-9]')";

const conditions = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] };
const secrets = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace', 'name'] };

const CACHED_IMAGE_EXTRAS: SchemaExtras = {
  'spec.sourceImage': {
    'x-kubernetes-validations': [
      rule('self == oldSelf', 'sourceImage cannot change: delete this CachedImage and create one for the other image'),
      ...imageRules('sourceImage'),
    ],
  },
  'spec.pin': {
    'x-kubernetes-validations': [
      rule(`self.matches('^${DIGEST}$')`, 'pin is not a digest: write sha256:<64 lower-case hex digits>'),
    ],
  },
  'status.conditions': conditions,
  'status.pullSecrets': secrets,
};

const REPOSITORY_EXTRAS: SchemaExtras = {
  'spec.name': {
    'x-kubernetes-validations': [
      rule('self == oldSelf', 'name cannot change: delete this Repository and create one for the other name'),
      ...repositoryRules('name'),
    ],
  },
  'spec.updateInterval': {
    'x-kubernetes-validations': [
      rule(POSITIVE_DURATION, 'updateInterval is not a positive duration: write for example 30m, 1h30m or 7d'),
    ],
  },
  'spec.checkInterval': {
    'x-kubernetes-validations': [
      rule(POSITIVE_DURATION, 'checkInterval is not a positive duration: write for example 30s, 10m or 1h'),
    ],
  },
  'status.conditions': conditions,
  'status.pullSecrets': secrets,
};

interface Column {
  name: string;
  jsonPath: string;
  type?: string;
  priority?: number;
  description?: string;
}

function crd(
  names: { kind: string; plural: string; singular: string; short: string },
  schema: object,
  columns: Column[],
) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Cluster',
      names: {
        kind: names.kind,
        listKind: `${names.kind}List`,
        plural: names.plural,
        singular: names.singular,
        shortNames: [names.short],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns.map((column) => ({ type: 'string', ...column })),
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}

function schemaOf(spec: z.ZodType, status: z.ZodType, extras: SchemaExtras): object {
  const object = z.object({
    apiVersion: z.string().optional(),
    kind: z.string().optional(),
    spec,
    status: status.optional(),
  });
  const schema = structuralSchema(object, extras);
  (schema['properties'] as Record<string, unknown>)['metadata'] = { type: 'object' };
  return schema;
}

const AGE: Column = { name: 'Age', jsonPath: '.metadata.creationTimestamp', type: 'date' };

/** The CustomResourceDefinition of CachedImage, as applied to the API server. */
export const CACHED_IMAGE_CRD = crd(
  { kind: 'CachedImage', plural: 'cachedimages', singular: 'cachedimage', short: 'ci' },
  schemaOf(cachedImageSpec, cachedImageStatus, CACHED_IMAGE_EXTRAS),
  [
    { name: 'Image', jsonPath: '.status.display.image' },
    { name: 'Status', jsonPath: '.status.phase' },
    { name: 'Upstream', jsonPath: '.status.display.upstream' },
    { name: 'Used by', jsonPath: '.status.display.usedBy' },
    { name: 'Expires', jsonPath: '.status.display.expires' },
    { name: 'Size', jsonPath: '.status.display.size' },
    AGE,
    { name: 'Digest', jsonPath: '.status.cache.digest', priority: 1 },
    { name: 'Copied', jsonPath: '.status.cache.copiedAt', type: 'date', priority: 1 },
    { name: 'Pulled', jsonPath: '.status.lastPulled', type: 'date', priority: 1 },
    { name: 'Message', jsonPath: '.status.conditions[?(@.type=="Cached")].message', priority: 1 },
    { name: 'Retain', jsonPath: '.spec.retain', type: 'boolean', priority: 1 },
  ],
);

/** The CustomResourceDefinition of Repository. */
export const REPOSITORY_CRD = crd(
  { kind: 'Repository', plural: 'repositories', singular: 'repository', short: 'repo' },
  schemaOf(repositorySpec, repositoryStatus, REPOSITORY_EXTRAS),
  [
    { name: 'Repository', jsonPath: '.spec.name' },
    { name: 'Status', jsonPath: '.status.phase' },
    { name: 'Images', jsonPath: '.status.images', type: 'integer' },
    AGE,
  ],
);

export const CRDS = [CACHED_IMAGE_CRD, REPOSITORY_CRD] as const;

/** The YAML file of a CRD, byte for byte what the chart ships. */
export function crdYaml(definition: (typeof CRDS)[number]): string {
  return `# Generated from packages/contracts by scripts/generate.ts; do not edit.\n${stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
