import { createHash } from 'node:crypto';
import type { RateLimit } from './port.ts';

/** Longest `Retry-After` that is believed. */
const RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000;

/** Milliseconds of a `Retry-After` header, seconds or HTTP date (RFC 9110 §10.2.3); undefined when it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  const text = value?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, RETRY_AFTER_MAX_MS);
  if (!/^[A-Za-z]{3}/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - nowMs), RETRY_AFTER_MAX_MS);
}

/**
 * Quota headers as Docker Hub sends them: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`
 * (docs.docker.com/docker-hub/usage/pulls). Undefined when neither is there: the caller is exempt, or the registry has none.
 */
export function parseRateLimit(header: (name: string) => string | undefined): RateLimit | undefined {
  const limit = quota(header('ratelimit-limit'));
  const remaining = quota(header('ratelimit-remaining'));
  if (limit === undefined && remaining === undefined) return undefined;
  const windowSeconds = limit?.windowSeconds ?? remaining?.windowSeconds;
  return {
    ...(limit === undefined ? {} : { limit: limit.count }),
    ...(remaining === undefined ? {} : { remaining: remaining.count }),
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
  };
}

/**
 * Whom a registry counts a request for. `source` is its own word (`docker-ratelimit-source`: an address or an account's id, so only a
 * hash of it is kept); without one all anonymous requests count together, and all others.
 */
export function quotaIdentity(source: string | undefined, anonymous: boolean): string {
  const text = source?.trim() ?? '';
  if (text === '') return anonymous ? 'anonymous' : 'credential';
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function quota(value: string | undefined): { count: number; windowSeconds?: number } | undefined {
  const match = /^\s*(\d{1,12})\s*(?:;\s*w\s*=\s*(\d{1,12})\s*)?(?:[;,].*)?$/.exec(value ?? '');
  if (match === null) return undefined;
  const count = Number(match[1]);
  return match[2] === undefined ? { count } : { count, windowSeconds: Number(match[2]) };
}
