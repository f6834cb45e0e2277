import { BlockList, isIP } from 'node:net';
import { portOf } from './same-trust.ts';
import type { EgressProxy, RegistryEndpoint } from './port.ts';

/** The proxy for everything that names none of its own, and what is reached without it. */
export interface ProxyRule {
  readonly proxy: EgressProxy;
  /** As in NO_PROXY: `*`, hosts with everything below them, `.below.only`, addresses, CIDRs, each with or without a port. */
  readonly noProxy: readonly string[];
}

export type ProxyChoice =
  | { readonly proxy: EgressProxy; readonly reason: 'of-the-registry' | 'of-all' }
  | { readonly proxy?: undefined; readonly reason: 'none' | 'off-for-the-registry' | 'no-proxy' };

/** Which proxy a connection goes through: the registry's own (or none, when it says so), else the one for all unless `noProxy` names the host. */
export function chooseProxy(url: URL, endpoint: RegistryEndpoint, rule: ProxyRule | undefined): ProxyChoice {
  if (endpoint.httpProxy === 'none') return { reason: 'off-for-the-registry' };
  if (endpoint.httpProxy !== undefined) return { proxy: endpoint.httpProxy, reason: 'of-the-registry' };
  if (rule === undefined) return { reason: 'none' };
  return bypasses(url, rule.noProxy) ? { reason: 'no-proxy' } : { proxy: rule.proxy, reason: 'of-all' };
}

/** Whether a host is reached without the proxy, by the rules of Go's httpproxy, which curl's and kubelet's environments follow: loopback always is. */
export function bypasses(url: URL, noProxy: readonly string[]): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, '');
  if (host === 'localhost' || inRange(host, '127.0.0.0/8') || host === '::1') return true;
  return noProxy.some((entry) => covers(entry.trim().toLowerCase(), host, portOf(url)));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return inRange(host, entry);
  const { name, port: wanted } = splitEntry(entry);
  if (wanted !== undefined && wanted !== port) return false;
  // An address is nobody's subdomain.
  if (isIP(name) !== 0 || isIP(host) !== 0) return name === host;
  const below = name.replace(/^\*?\./, '');
  return host.endsWith(`.${below}`) || (host === below && name === below);
}

function splitEntry(entry: string): { name: string; port?: string } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(entry);
  if (match === null) return { name: entry };
  const name = (match[1] ?? match[2])!;
  return match[3] === undefined ? { name } : { name, port: match[3] };
}

function inRange(host: string, cidr: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/');
  const family = isIP(host);
  if (family === 0 || family !== isIP(network) || !/^\d{1,3}$/.test(prefix)) return false;
  const list = new BlockList();
  try {
    list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  } catch {
    return false;
  }
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

const INSIDE = /(^|\.)(localhost|local|internal|svc)$|\.svc\.[a-z0-9.-]+$/;

/**
 * Why a proxy may not be asked for a name: it is the proxy that resolves it, so that our address policy sees literals and names alone. What has
 * a meaning inside networks only is refused as its address would be.
 */
export function insideName(hostname: string): string | undefined {
  const host = hostname.toLowerCase().replace(/\.$/, '');
  if (!host.includes('.')) return 'a name without a domain';
  return INSIDE.test(host) ? 'a name of inside networks' : undefined;
}
