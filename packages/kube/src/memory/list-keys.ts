import { CRDS } from '@kuik/contracts';
import type { Resource } from '../port.ts';
import { isJson, type Json } from '../json.ts';

/** How several managers share a list: by the keys of its items, as a set of values, or not at all (undefined: it is replaced whole). */
export type ListKeys = readonly string[] | 'set' | undefined;

const METADATA: Readonly<Record<string, ListKeys>> = {
  'metadata.finalizers': 'set',
  'metadata.ownerReferences': ['uid'],
};

/** Of the list at a dotted path (items skipped), by the `x-kubernetes-list-*` of our CRDs. */
export function listKeys(resource: Resource, path: string): ListKeys {
  if (path in METADATA) return METADATA[path];
  const crd = CRDS.find((each) => each.spec.group === resource.group && each.spec.names.plural === resource.plural);
  let schema: unknown = crd?.spec.versions[0]?.schema.openAPIV3Schema;
  for (const field of path.split('.')) {
    if (!isJson(schema)) return undefined;
    const items = isJson(schema['items']) ? schema['items'] : schema;
    schema = (items['properties'] as Json | undefined)?.[field];
  }
  if (!isJson(schema)) return undefined;
  if (schema['x-kubernetes-list-type'] === 'set') return 'set';
  const keys = schema['x-kubernetes-list-map-keys'];
  return schema['x-kubernetes-list-type'] === 'map' && Array.isArray(keys) ? (keys as string[]) : undefined;
}
