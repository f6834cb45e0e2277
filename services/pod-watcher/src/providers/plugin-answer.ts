import { parseDuration } from '@kuik/contracts';
import { z } from 'zod';
import { bySpecificity, coversRepository, parseImagePattern } from '../image-match.ts';
import type { ProvidedLogin } from './port.ts';
import type { Answered } from './renewed-logins.ts';

const response = z.object({
  kind: z.literal('CredentialProviderResponse'),
  apiVersion: z.string(),
  cacheKeyType: z.enum(['Image', 'Registry', 'Global']),
  cacheDuration: z.string().nullish(),
  auth: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).nullish(),
});

export interface Asked {
  readonly host: string;
  readonly repository: string;
  readonly apiVersion: string;
  readonly defaultCacheMs: number;
  readonly nowMs: number;
}

/** What a plugin's answers are remembered under: for the one image, its registry, everything; most specific first. */
export function cacheKeys(host: string, repository: string): { Image: string; Registry: string; Global: string } {
  return { Image: `image ${host}/${repository}`, Registry: `registry ${host}`, Global: 'global' };
}

/** How long a login may be used whose plugin wants to be asked each time, ms: as long as any other that names no end. */
const USE_AT_LEAST_MS = 60_000;

/**
 * What a plugin wrote to its standard output: every login that it gave, with the pattern that it is for, and for how long. Throws without
 * quoting it: it holds secrets.
 */
export function readPluginAnswer(text: string, asked: Asked): Answered<PatternLogin> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
  const parsed = response.safeParse(json);
  if (!parsed.success) {
    // Fields alone: below `auth` the path is what the plugin wrote.
    const fields = parsed.error.issues.map(({ path }) => String(path[0] ?? '(answer)'));
    throw new Error(`its answer is no CredentialProviderResponse: ${[...new Set(fields)].join(', ')}`);
  }
  const { apiVersion, cacheKeyType, cacheDuration, auth } = parsed.data;
  if (apiVersion !== asked.apiVersion)
    throw new Error(`it answered in ${apiVersion.slice(0, 100)}, asked in ${asked.apiVersion}`);
  const cacheMs =
    cacheDuration === undefined || cacheDuration === null ? asked.defaultCacheMs : parseDuration(cacheDuration);
  if (cacheMs === undefined) throw new Error('its cacheDuration is not a duration');
  const until = asked.nowMs + Math.max(cacheMs, USE_AT_LEAST_MS);
  const logins = Object.entries(auth ?? {}).map(([pattern, { username, password }]) => ({
    pattern,
    credential: { kind: 'basic' as const, username, password },
    expiresAtMs: until,
  }));
  return { key: cacheKeys(asked.host, asked.repository)[cacheKeyType], logins, expiresAtMs: asked.nowMs + cacheMs };
}

export interface PatternLogin extends ProvidedLogin {
  readonly pattern: string;
}

/** Those whose pattern covers the repository, most specific first. */
export function loginsFor(all: readonly PatternLogin[], host: string, repository: string): ProvidedLogin[] {
  return all
    .flatMap(({ pattern, credential, expiresAtMs }) => {
      const parsed = parseImagePattern(pattern);
      const covers = parsed !== undefined && coversRepository(parsed, host, repository);
      return covers ? [{ key: parsed.key, login: { credential, expiresAtMs } }] : [];
    })
    .sort(bySpecificity)
    .map(({ login }) => login);
}
