import { DEFAULTS } from '@kuik/contracts';
import { locateRegistry } from './endpoints.ts';
import type { RegistryEndpoint, RegistryMap } from './port.ts';

/** Bounds of one registry, in ms. */
export interface Timeouts {
  connectMs: number;
  /** From a sent request to its response head. */
  headersMs: number;
  /** Longest silence in a body, either way. */
  idleMs: number;
  /** From the last byte of an upload to its answer: the registry may be hashing or moving it. */
  commitMs: number;
}

export const UPSTREAM_TIMEOUTS: Timeouts = { ...pick(DEFAULTS.upstreamTimeouts), commitMs: 120_000 };
export const CACHE_TIMEOUTS: Timeouts = { ...pick(DEFAULTS.cacheTimeouts), commitMs: 120_000 };

/** The bounds for one connection: those of its registry's settings, the rest as for all. */
export function timeoutsOf({ endpoint }: { readonly endpoint: RegistryEndpoint }, all: Timeouts): Timeouts {
  return endpoint.timeouts === undefined ? all : { ...all, ...endpoint.timeouts };
}

/** How long a registry of others may take from a request to the head of its answer, in ms: to a connection, and from there. */
export function answerBoundMs(host: string, registries: RegistryMap = {}, all: Partial<Timeouts> = {}): number {
  const { connectMs, headersMs } = timeoutsOf(locateRegistry(host, registries), { ...UPSTREAM_TIMEOUTS, ...all });
  return connectMs + headersMs;
}

function pick(from: { connectMs: number; headersMs: number; idleMs: number }): Omit<Timeouts, 'commitMs'> {
  return { connectMs: from.connectMs, headersMs: from.headersMs, idleMs: from.idleMs };
}
