import type { ObjectName, Resource } from './port.ts';

/** What a call is about, for error messages and metrics. */
export interface CallTarget {
  verb: string;
  resource?: Resource | undefined;
  name?: ObjectName | undefined;
  subresource?: string | undefined;
  path: string;
}

/** `cachedimages.kuik.enix.io "x"`, `pods "default/web"`, or the path of a raw call. */
export function nameOf({ resource, name, subresource, path }: CallTarget): string {
  if (resource === undefined) return path;
  const type = `${plural(resource)}${subresource === undefined ? '' : `/${subresource}`}`;
  if (name === undefined) return type;
  const full = name.namespace === undefined ? name.name : `${name.namespace}/${name.name}`;
  return full === '' ? type : `${type} "${full}"`;
}

/** `pods`, `cachedimages.kuik.enix.io`: as `kubectl get` takes it. */
export function plural(resource: Resource): string {
  return resource.group === undefined ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** The verb that a Role must hold for this call. */
export function rbacVerb(verb: string): string {
  return verb === 'apply' ? 'patch' : verb;
}
