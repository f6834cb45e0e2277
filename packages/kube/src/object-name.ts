import type { ObjectName } from './port.ts';

/** One string for a name and its namespace; neither can hold a `/`. */
export function keyOf({ name, namespace = '' }: ObjectName): string {
  return `${namespace}/${name}`;
}

/** Name and namespace alone: callers may pass a whole metadata, of which nothing else may reach a patch or a map. */
export function nameOnly({ name, namespace }: ObjectName): ObjectName {
  return namespace === undefined ? { name } : { name, namespace };
}
