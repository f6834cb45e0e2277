import { createHash } from 'node:crypto';
import { codeOfStatus, describeUrl, RegistryError } from './errors.ts';
import { ExpiringMap } from './expiring-map.ts';
import { parseRetryAfter } from './response-limits.ts';
import type { HttpClient, HttpRequest } from './http-client.ts';
import type { Credential, RegistryErrorCode } from './port.ts';

/** Lifetime of a token whose server names none (distribution-spec, token authentication). */
const DEFAULT_EXPIRY_S = 60;
const MAX_TOKENS = 10_000;
const TOKEN_BODY_MAX = 256 * 1024;

/** What a token server takes: a name and password, or a refresh token. */
export type TokenSecret = Extract<Credential, { kind: 'basic' | 'identity' }>;

/** What a token is asked for, and with what. `secret` is absent for an anonymous one. */
export interface TokenRequest {
  realm: URL;
  service: string | undefined;
  scopes: readonly string[];
  secret?: TokenSecret;
}

/** What `credential` can be exchanged with; undefined for what needs no exchange, or has nothing. */
export function tokenSecretOf(credential: Credential): TokenSecret | undefined {
  return credential.kind === 'basic' || credential.kind === 'identity' ? credential : undefined;
}

/** What a token server gave. */
export interface TokenAnswer {
  token: string;
  lifetimeS: number;
}

export interface Token {
  value: string;
  /** It came from the cache: a 401 may only mean that it was revoked. */
  cached: boolean;
}

/** Whom tokens are asked of, in whatever order and number. */
export interface TokenSource {
  /** `background`: no pull waits for it before this is aborted. Throws RegistryError. */
  ask(request: TokenRequest, haste: { readonly background: AbortSignal }): Promise<TokenAnswer>;
}

/** A question under way. */
interface Pending {
  /** Aborted when a pull waits for it. */
  readonly background: AbortController;
  readonly token: Promise<string>;
}

/**
 * Bearer tokens by realm, service, scopes and a hash of the credential, each kept until its lifetime less a tenth. One request per
 * key is under way at a time, whoever asks.
 */
export class TokenCache {
  readonly #tokens: ExpiringMap<string>;
  readonly #pending = new Map<string, Pending>();
  readonly #source: TokenSource;

  constructor(source: TokenSource, now: () => number) {
    this.#source = source;
    this.#tokens = new ExpiringMap(MAX_TOKENS, now);
  }

  /** A token, cached or fetched. `refused` is a token that a registry just refused: it is not handed out again. `background`: no pull waits for it. */
  async get(
    request: TokenRequest,
    options: { refused?: string; background?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<Token> {
    const { background = false } = options;
    const key = keyOf(request);
    const cached = this.#tokens.get(key);
    if (cached !== undefined && cached !== options.refused) return { value: cached, cached: true };
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      // Shared by everyone who asks: nobody's signal may end it, its own deadline does.
      const alone = new AbortController();
      if (!background) alone.abort();
      const token = this.#fetch(request, key, alone.signal).finally(() => this.#pending.delete(key));
      pending = { background: alone, token };
      this.#pending.set(key, pending);
    } else if (!background) pending.background.abort();
    return { value: await unlessAborted(pending.token, request, options.signal), cached: false };
  }

  async #fetch(request: TokenRequest, key: string, background: AbortSignal): Promise<string> {
    const { token, lifetimeS } = await this.#source.ask(request, { background });
    this.#tokens.set(key, token, lifetimeS * 900);
    return token;
  }
}

/**
 * One question to a token server; nothing is remembered. A name and password, or nothing, go by GET; a refresh token by the OAuth2 grant,
 * in the body of a POST. The caller has judged whether the realm may see the secret. Throws RegistryError.
 * Source: distribution-spec, token authentication and its OAuth2 variant (RFC 6749 §6).
 */
export async function askToken(
  http: Pick<HttpClient, 'request'>,
  request: TokenRequest,
  { now, signal }: { now: () => number; signal?: AbortSignal | undefined },
): Promise<TokenAnswer> {
  const answer = await http.request({ ...tokenQuestion(request), signal });
  const doing = `token from ${describeUrl(request.realm)}`;
  if (answer.status !== 200) {
    answer.discard();
    const retryAfterMs = parseRetryAfter(answer.header('retry-after'), now());
    throw new RegistryError(refusalCode(request, answer.status), `${doing}: status ${answer.status}`, {
      status: answer.status,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  return parseTokenAnswer(await answer.read(TOKEN_BODY_MAX), doing);
}

const CLIENT_ID = 'kube-image-keeper';

function tokenQuestion({ realm, service, scopes, secret }: TokenRequest): HttpRequest {
  const url = new URL(realm);
  if (secret?.kind === 'identity') {
    const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID });
    if (service !== undefined) body.set('service', service);
    body.set('scope', scopes.join(' '));
    body.set('refresh_token', secret.token);
    const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url, headers, body: body.toString() };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (secret !== undefined) {
    url.searchParams.set('account', secret.username);
    headers['authorization'] = basicHeader(secret);
  }
  return { method: 'GET', url, headers };
}

/** A refresh token that is not valid any more is 400 `invalid_grant` (RFC 6749 §5.2); a server without that grant has no such route. */
function refusalCode({ secret }: TokenRequest, status: number): RegistryErrorCode {
  if (secret?.kind === 'identity' && [400, 404, 405].includes(status)) return 'unauthorized';
  const code = codeOfStatus(status);
  // It has no token to give: that says nothing about whether the image is there.
  return code === 'not-found' ? 'server-error' : code;
}

/** Reads a token server's JSON: `token` before `access_token`; `expires_in` in seconds. Throws `invalid-response`. */
export function parseTokenAnswer(body: Buffer, doing: string): TokenAnswer {
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
  const parts = [request.realm.href, request.service ?? '', [...request.scopes].sort().join(' '), request.secret];
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
