import { canonicalHost } from '@kuik/image';
import { coveredBy, portOf } from './same-trust.ts';
import type { RegistryEndpoint, RegistryMap } from './port.ts';
import { RegistryError } from './errors.ts';

/** Docker Hub's name is not where it answers. */
const HUB = 'docker.io';
const HUB_HOST = 'registry-1.docker.io';

/** Where a registry's API is: its base URL (with the name that TLS and Host carry) and its settings. */
export interface RegistryLocation {
  base: URL;
  endpoint: RegistryEndpoint;
}

/** The location of a registry by its canonical name. Throws RegistryError `rejected` when `host` is no registry host. */
export function locateRegistry(host: string, registries: RegistryMap): RegistryLocation {
  const name = canonicalHost(host);
  if (name === undefined) throw new RegistryError('rejected', `"${host.slice(0, 300)}" is not a registry host`);
  const endpoint = entryOf(name, registries) ?? {};
  const scheme = endpoint.plainHTTP === true ? 'http' : 'https';
  const reached = endpoint.apiHost ?? (name === HUB && endpoint.address === undefined ? HUB_HOST : name);
  return { base: new URL(`${scheme}://${reached}/`), endpoint };
}

/**
 * The settings for a connection to `url`, which may be a registry, a token server or a blob origin: its own entry, else what a
 * registry that may be private says about the hosts it trusts.
 */
export function endpointOf(url: URL, registries: RegistryMap): RegistryEndpoint {
  const name = canonicalHost(url.host) ?? url.host;
  const own = entryOf(name, registries) ?? entryOf(`${url.hostname}:${portOf(url)}`, registries);
  if (own !== undefined) return name === HUB && url.hostname !== HUB ? withoutAddress(own) : own;
  const standsFor = Object.values(registries).find(({ apiHost }) => apiHost !== undefined && isHost(url, apiHost));
  if (standsFor !== undefined) return standsFor;
  for (const entry of Object.values(registries)) {
    if (!(entry.trusted ?? []).some((trusted) => coveredBy(url, trusted))) continue;
    return {
      ...(entry.ca === undefined ? {} : { ca: entry.ca }),
      ...(entry.insecureSkipVerify === undefined ? {} : { insecureSkipVerify: entry.insecureSkipVerify }),
      ...(entry.allowPrivate === true || entry.address !== undefined ? { allowPrivate: true } : {}),
      ...(entry.httpProxy === undefined ? {} : { httpProxy: entry.httpProxy }),
      ...(entry.timeouts === undefined ? {} : { timeouts: entry.timeouts }),
    };
  }
  return {};
}

function entryOf(name: string, registries: RegistryMap): RegistryEndpoint | undefined {
  for (const [key, entry] of Object.entries(registries)) {
    if ((canonicalHost(key) ?? key.toLowerCase()) === name) return entry;
  }
  return undefined;
}

function isHost(url: URL, host: string): boolean {
  const [name, port = portOf(url)] = host.toLowerCase().split(':');
  return url.hostname === name && portOf(url) === port;
}

function withoutAddress(endpoint: RegistryEndpoint): RegistryEndpoint {
  const { address: _address, ...rest } = endpoint;
  return rest;
}
