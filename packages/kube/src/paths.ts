import { KubeError } from './kube-error.ts';
import type { ObjectName, Resource } from './port.ts';

/** `/apis/kuik.enix.io/v1alpha1/cachedimages`; with a namespace only its part of a namespaced collection. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const base =
    resource.group === undefined ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const inside = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${base}${inside}/${resource.plural}`;
}

/** Path of one object. Throws KubeError 'invalid' when the name or a needed namespace is missing. */
export function objectPath(resource: Resource, name: ObjectName, subresource?: string): string {
  if (name.name === '') throw new KubeError('invalid', `cannot name a ${resource.kind}: its name is empty`);
  if (resource.namespaced && (name.namespace === undefined || name.namespace === '')) {
    throw new KubeError('invalid', `cannot name ${resource.kind} "${name.name}": give its namespace`);
  }
  const tail = subresource === undefined ? '' : `/${subresource}`;
  return `${collectionPath(resource, name.namespace)}/${encodeURIComponent(name.name)}${tail}`;
}

/** Appends the defined ones of `query`. */
export function withQuery(path: string, query: Record<string, string | number | boolean | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}
