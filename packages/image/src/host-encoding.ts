import { canonicalHost } from './reference.ts';

/**
 * A registry host as one path component: a port is written `host__5000`. A host name cannot hold `_`, so this is injective.
 * Undefined when the host has no such form (an IPv6 literal).
 */
export function encodeHost(host: string): string | undefined {
  if (host.startsWith('[')) return undefined;
  return host.replace(/:([0-9]+)$/, '__$1');
}

/** Inverse of encodeHost; undefined when the component is no host. */
export function decodeHost(component: string): string | undefined {
  if (component.includes(':') || component.includes('[')) return undefined;
  return canonicalHost(component.replace(/__([0-9]+)$/, ':$1'));
}

/** kuik v1 wrote `host-5000`: the host with that trailing number as its port, or undefined when there is none. */
export function decodeHostV1(component: string): string | undefined {
  const match = /^(.+)-([0-9]{1,5})$/.exec(component);
  return match === null ? undefined : canonicalHost(`${match[1]}:${match[2]}`);
}
