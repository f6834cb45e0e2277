import { isIP } from 'node:net';
import { getDomain } from 'tldts';
import type { RegistryEndpoint } from './port.ts';

/**
 * How far a host that a registry names is from that registry:
 * `origin` the same scheme, host and port; `configured` listed in the endpoint's `trusted`; `family` the same host on another
 * port, the same registrable domain (public suffix list, private suffixes included), or a known pair; `foreign` none of these.
 */
export type Trust = 'origin' | 'configured' | 'family' | 'foreign';

/** Registries whose token server lives under another registrable domain; both sides belong to one operator. */
const PAIRS: readonly (readonly [string, string])[] = [
  ['registry-1.docker.io', 'auth.docker.io'],
  ['docker.io', 'auth.docker.io'],
  ['nvcr.io', 'authn.nvidia.com'],
];

/** Pure: the trust between a registry's own URL and one that it named (redirect, token realm, upload location). */
export function trustBetween(from: URL, to: URL, endpoint: RegistryEndpoint): Trust {
  if (to.username !== '' || to.password !== '') return 'foreign';
  const encrypted = to.protocol === 'https:';
  const plain = to.protocol === 'http:' && from.protocol === 'http:' && endpoint.plainHTTP === true;
  if (!encrypted && !plain) return 'foreign';
  if (from.protocol === to.protocol && from.host === to.host) return 'origin';
  if ((endpoint.trusted ?? []).some((trusted) => coveredBy(to, trusted))) return 'configured';
  if (from.hostname === to.hostname) return 'family';
  if (PAIRS.some(([a, b]) => a === from.hostname && b === to.hostname)) return 'family';
  return sameDomain(from.hostname, to.hostname) ? 'family' : 'foreign';
}

/** Whether this registry's credentials may go to `to`: for token realms and upload locations. */
export function sameTrust(from: URL, to: URL, endpoint: RegistryEndpoint): boolean {
  return trustBetween(from, to, endpoint) !== 'foreign';
}

/**
 * Whether `Authorization` stays on a request that was redirected. Narrower than sameTrust: a sibling host that gets a signed
 * URL and a header answers 400, so the header goes to the very same origin, or to hosts that a person listed.
 */
export function keepsAuthorization(from: URL, to: URL, endpoint: RegistryEndpoint): boolean {
  const trust = trustBetween(from, to, endpoint);
  return trust === 'origin' || trust === 'configured';
}

/** Whether `host` (of a URL, or `host[:port]`) is `suffix` or below it; a suffix with a port wants that port too. */
export function coveredBy(url: URL, suffix: string): boolean {
  const match = /^\.?(.+?)(?::(\d+))?$/.exec(suffix.toLowerCase());
  if (match === null) return false;
  const [, name, port] = match;
  if (port !== undefined && port !== portOf(url)) return false;
  return url.hostname === name || (isIP(name!) === 0 && url.hostname.endsWith(`.${name}`));
}

/** The port of a URL, written or implied. */
export function portOf(url: URL): string {
  return url.port !== '' ? url.port : url.protocol === 'http:' ? '80' : '443';
}

function sameDomain(a: string, b: string): boolean {
  const domain = getDomain(a, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(b, { allowPrivateDomains: true });
}
