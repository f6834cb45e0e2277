import { createHash } from 'node:crypto';
import { codeOfStatus, describeUrl, RegistryError } from './errors.ts';
import { ExpiringMap } from './expiring-map.ts';
import { parseRetryAfter } from './response-limits.ts';
import type { HttpClient } from './http-client.ts';

/** Lifetime of a token whose server names none (distribution-spec, token authentication). */
const DEFAULT_EXPIRY_S = 60;
const MAX_TOKENS = 10_000;
const TOKEN_BODY_MAX = 256 * 1024;

/** What a token is asked for, and with what. `basic` is absent for an anonymous one. */
export interface TokenRequest {
  realm: URL;
  service: string | undefined;
  scopes: readonly string[];
  basic?: { username: string; password: string };
}

export interface Token {
  value: string;
  /** It came from the cache: a 401 may only mean that it was revoked. */
  cached: boolean;
}

/**
 * Bearer tokens by realm, service, scopes and a hash of the credential, each kept until its lifetime less a tenth. One request per
 * key is under way at a time, whoever asks.
 */
export class TokenCache {
  readonly #tokens: ExpiringMap<string>;
  readonly #pending = new Map<string, Promise<string>>();
  readonly #http: HttpClient;
  readonly #now: () => number;

  constructor(http: HttpClient, now: () => number) {
    this.#http = http;
    this.#now = now;
    this.#tokens = new ExpiringMap(MAX_TOKENS, now);
  }

  /** A token, cached or fetched. `refused` is a token that a registry just refused: it is not handed out again. */
  async get(
    request: TokenRequest,
    options: { refused?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<Token> {
    const key = keyOf(request);
    const cached = this.#tokens.get(key);
    if (cached !== undefined && cached !== options.refused) return { value: cached, cached: true };
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      // Shared by everyone who asks: nobody's signal may end it, its own deadline does.
      pending = this.#fetch(request, key).finally(() => this.#pending.delete(key));
      this.#pending.set(key, pending);
    }
    return { value: await unlessAborted(pending, request, options.signal), cached: false };
  }

  async #fetch(request: TokenRequest, key: string): Promise<string> {
    const url = new URL(request.realm);
    if (request.service !== undefined) url.searchParams.set('service', request.service);
    for (const scope of request.scopes) url.searchParams.append('scope', scope);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (request.basic !== undefined) {
      url.searchParams.set('account', request.basic.username);
      headers['authorization'] = basicHeader(request.basic);
    }
    const answer = await this.#http.request({ method: 'GET', url, headers });
    const doing = `token from ${describeUrl(url)}`;
    if (answer.status !== 200) {
      answer.discard();
      const retryAfterMs = parseRetryAfter(answer.header('retry-after'), this.#now());
      throw new RegistryError(codeOfStatus(answer.status), `${doing}: status ${answer.status}`, {
        status: answer.status,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
    const { token, lifetimeS } = parseTokenAnswer(await answer.read(TOKEN_BODY_MAX), doing);
    this.#tokens.set(key, token, lifetimeS * 900);
    return token;
  }
}

/** Reads a token server's JSON: `token` before `access_token`; `expires_in` in seconds. Throws `invalid-response`. */
export function parseTokenAnswer(body: Buffer, doing: string): { token: string; lifetimeS: number } {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    // Without the parser's own words: they quote the answer, which may hold a token all the same.
    throw new RegistryError('invalid-response', `${doing}: the answer is not JSON`);
  }
  const answer = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const token = [answer['token'], answer['access_token']].find((value) => typeof value === 'string' && value !== '');
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError('invalid-response', `${doing}: the answer holds no token`);
  }
  const expiresIn = Number(answer['expires_in']);
  return { token, lifetimeS: expiresIn > 0 && Number.isFinite(expiresIn) ? expiresIn : DEFAULT_EXPIRY_S };
}

/** The header value for a user name and password (RFC 7617). */
export function basicHeader(basic: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${basic.username}:${basic.password}`, 'utf8').toString('base64')}`;
}

function keyOf(request: TokenRequest): string {
  const secret = request.basic === undefined ? '' : `${request.basic.username}\0${request.basic.password}`;
  const parts = [request.realm.href, request.service ?? '', [...request.scopes].sort().join(' '), secret];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

function unlessAborted<T>(work: Promise<T>, request: TokenRequest, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(new RegistryError('aborted', `token from ${describeUrl(request.realm)}: aborted by the caller`));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
