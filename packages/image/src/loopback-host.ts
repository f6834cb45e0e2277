import { GRAMMAR } from './grammar.ts';

const LOOPBACK = new RegExp(`^${GRAMMAR.loopbackHost}$`);

/**
 * True for a canonical registry host that means the node itself (RFC 6761: `localhost` and names below it; loopback addresses): what it
 * serves can be reached from nowhere else, so its images are neither rewritten nor copied.
 */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host);
}
