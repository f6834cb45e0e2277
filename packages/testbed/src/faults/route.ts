import { canonicalHost, fromCacheRepository, isDigest } from '@kuik/image';
import type { RequestKind } from './rule.ts';

/** A request's path, taken apart. */
export interface Route {
  readonly kind: RequestKind;
  readonly repository?: string;
  readonly reference?: string;
}

/** What a path asks for (OCI distribution spec, "Endpoints"); `/token` is the token server's. The path has no query. */
export function routeOf(path: string): Route {
  if (path === '/token') return { kind: 'token' };
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' };
  const upload = /^\/v2\/(.+)\/blobs\/uploads(?:\/|$)/.exec(path);
  if (upload !== null) return { kind: 'upload', repository: upload[1]! };
  const tags = /^\/v2\/(.+)\/tags\/list$/.exec(path);
  if (tags !== null) return { kind: 'tags', repository: tags[1]! };
  const content = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(path);
  if (content === null) return { kind: 'other' };
  const [, repository = '', what, text = ''] = content;
  const reference = text.replace(/%3a/gi, ':');
  if (what === 'blobs') return { kind: 'blob', repository, reference };
  if (what === 'referrers') return { kind: 'referrers', repository, reference };
  return { kind: isDigest(reference) ? 'manifest-digest' : 'manifest-tag', repository, reference };
}

/** Which upstream a request is for, and its path there. */
export interface Target {
  readonly host: string;
  /** As if the host had been asked by its name. */
  readonly path: string;
  /** Whether the client knows the host by name; else it can only be told addresses. */
  readonly byName: boolean;
  /** What the client's paths have after `/v2` that the host's own have not: `/docker.io`, or nothing. */
  readonly mount: string;
}

/** What is known of a request before its path is read. */
export interface Arrival {
  readonly hostHeader: string | undefined;
  /** Host whose own port it came to. */
  readonly listenerHost: string | undefined;
  readonly localPort: number | undefined;
  readonly isKnown: (host: string) => boolean;
}

/**
 * The upstream that a request is for. In order:
 * 1. a Host header with a name: that host, with its port only when such a host is known;
 * 2. an address, on a host's own port: that host;
 * 3. an address, on the shared port: the first part of the repository names the host, `host__5000` with a port;
 * 4. else undefined (a ping at the shared address).
 */
export function targetOf(path: string, arrival: Arrival): Target | undefined {
  const named = nameIn(arrival);
  if (named !== undefined) return { host: named, path, byName: true, mount: '' };
  if (arrival.listenerHost !== undefined) return { host: arrival.listenerHost, path, byName: false, mount: '' };
  const [, first = '', rest = ''] = /^\/v2\/([^/]+)(\/.*)$/.exec(path) ?? [];
  const host = fromCacheRepository(`${first}/x`)?.host;
  if (host === undefined || !/[.:]/.test(host)) return undefined;
  return { host, path: `/v2${rest}`, byName: false, mount: `/${first}` };
}

function nameIn({ hostHeader, localPort, isKnown }: Arrival): string | undefined {
  const host = hostHeader === undefined ? undefined : canonicalHost(hostHeader);
  if (host === undefined) return undefined;
  if (isKnown(host)) return host;
  const bare = canonicalHost(host.replace(/:[0-9]+$/, '')) ?? host;
  if (/^[0-9.]+$/.test(bare) || bare === 'localhost' || bare.startsWith('[')) return undefined;
  return isKnown(bare) || host.endsWith(`:${localPort}`) ? bare : host;
}
