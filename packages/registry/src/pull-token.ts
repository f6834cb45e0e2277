import { parseChallenges, preferredChallenge, type Challenge } from './challenge.ts';
import { codeOfStatus, describeUrl, RegistryError } from './errors.ts';
import type { ExpiringMap } from './expiring-map.ts';
import { ACCEPT } from './manifests.ts';
import { parseRetryAfter } from './response-limits.ts';
import { sameTrust } from './same-trust.ts';
import type { TokenServers } from './token-servers.ts';
import { basicHeader, tokenSecretOf, type TokenSecret } from './tokens.ts';
import type { RegistrySite } from './authorizer.ts';
import type { HttpClient, HttpResponse } from './http-client.ts';
import type { Credential, PullToken, PullTokenExchange } from './port.ts';

export interface PullTokenRequest {
  readonly site: RegistrySite;
  readonly host: string;
  readonly repository: string;
  readonly http: HttpClient;
  readonly now: () => number;
  /** What `/v2/` of registries said lately, by origin: it is the same for all of a registry's repositories. */
  readonly fronts: ExpiringMap<Front>;
  readonly tokenServers: Pick<TokenServers, 'ask'>;
}

type PullTokenOptions = NonNullable<Parameters<PullTokenExchange['exchangePullToken']>[3]>;

export type Front = Challenge | 'open';

const FRONT_TTL_MS = 60_000;

/**
 * Turns a credential into what may be handed on: a pull-only Bearer token of one repository; for a Basic-only registry the header
 * itself; `anonymous` when the registry asks for nothing. The registry is asked first what it wants (`GET /v2/`, and the
 * repository itself when that is open and there is a name to give), so a name and password leave only for a host of its trust. Throws RegistryError,
 * `unauthorized` or `forbidden` when this credential is refused.
 * Source: distribution-spec, token authentication; RFC 7617.
 */
export async function exchangePullToken(
  request: PullTokenRequest,
  credential: Credential,
  options: PullTokenOptions = {},
): Promise<PullToken> {
  const { verify = false, signal } = options;
  if (credential.kind === 'bearer' || credential.kind === 'header') {
    const value = credential.kind === 'bearer' ? `Bearer ${credential.token}` : credential.value;
    if (verify) await mustSee(request, value, options);
    return credential;
  }
  const secret = tokenSecretOf(credential);
  const { fronts, site } = request;
  const remembered = fronts.get(site.base.origin);
  const front = remembered ?? (await learnFront(request, signal));
  try {
    return await exchangeAt(request, front, secret, options);
  } catch (error) {
    // What it wants may have changed since: then this says nothing of the credential. Who limits us is asked no more.
    if (remembered === undefined || !(error instanceof RegistryError)) throw error;
    if (error.code === 'aborted' || error.code === 'rate-limited') throw error;
    const now = await learnFront(request, signal);
    if (JSON.stringify(now) === JSON.stringify(remembered)) throw error;
    return exchangeAt(request, now, secret, options);
  }
}

async function exchangeAt(
  request: PullTokenRequest,
  front: Front,
  secret: TokenSecret | undefined,
  options: PullTokenOptions,
): Promise<PullToken> {
  const { verify = false, signal } = options;
  // Whoever has no name to give finds out on the repository itself what it asks for.
  if (front === 'open' && secret === undefined) return { kind: 'anonymous' };
  const challenge = front === 'open' ? await challengeAt(request, tagsPath(request), signal) : front;
  if (challenge === undefined) return { kind: 'anonymous' };
  if (challenge.scheme === 'bearer') {
    const token = await fetchToken(request, challenge, secret, options);
    if (verify) await mustSee(request, `Bearer ${token.token}`, options);
    return token;
  }
  if (secret?.kind !== 'basic') {
    throw new RegistryError('unauthorized', `${request.host} wants a name and password`, { status: 401 });
  }
  const value = basicHeader(secret);
  if (verify) await mustSee(request, value, options);
  else passed(request, await ask(request, '/v2/', { authorization: value }, signal));
  return { kind: 'header', value };
}

/**
 * Throws unless the repository is shown to who brings this. The right to pull it is not always one to list its tags. Who limits us or fails
 * has shown nothing.
 */
async function mustSee(
  request: PullTokenRequest,
  authorization: string,
  { reference, signal }: PullTokenOptions,
): Promise<void> {
  if (reference !== undefined) {
    const path = `/v2/${request.repository}/manifests/${reference}`;
    const { status } = answered(request, await ask(request, path, { authorization, ...ACCEPT }, signal, 'HEAD'));
    if (status === 200) return;
  }
  const answer = answered(request, await ask(request, tagsPath(request), { authorization }, signal));
  // Many hide so what they do not show.
  if (answer.status === 404) throw refused(request, answer);
}

function passed(request: PullTokenRequest, answer: HttpResponse): HttpResponse {
  if (answer.status === 401 || answer.status === 403) throw refused(request, answer);
  return answer;
}

/** As `passed`; nor may it be a limit or a failure, other than that what is asked for (HEAD, tags) is not known there. */
function answered(request: PullTokenRequest, answer: HttpResponse): HttpResponse {
  if (answer.status === 429 || (answer.status >= 500 && answer.status !== 501)) throw refused(request, answer);
  return passed(request, answer);
}

function tagsPath({ repository }: PullTokenRequest): string {
  return `/v2/${repository}/tags/list?n=1`;
}

/** What the registry wants before it shows anything; `open`: nothing, but its repositories may. */
async function learnFront(request: PullTokenRequest, signal?: AbortSignal): Promise<Front> {
  const front = (await challengeAt(request, '/v2/', signal)) ?? 'open';
  request.fronts.set(request.site.base.origin, front, FRONT_TTL_MS);
  return front;
}

async function challengeAt(
  request: PullTokenRequest,
  path: string,
  signal?: AbortSignal,
): Promise<Challenge | undefined> {
  const answer = await ask(request, path, {}, signal);
  if (answer.status === 429 || answer.status >= 500) throw refused(request, answer);
  if (answer.status !== 401) return undefined;
  const challenge = preferredChallenge(parseChallenges(answer.headers('www-authenticate')));
  if (challenge !== undefined) return challenge;
  throw new RegistryError('unauthorized', `${request.host} does not say how to authenticate`, { status: 401 });
}

async function fetchToken(
  request: PullTokenRequest,
  challenge: Extract<Challenge, { scheme: 'bearer' }>,
  secret: TokenSecret | undefined,
  { background, signal }: PullTokenOptions,
): Promise<Extract<PullToken, { kind: 'bearer' }>> {
  const realm = realmOf(request, challenge.realm, secret);
  const scopes = [`repository:${request.repository}:pull`];
  const question = { realm, service: challenge.service, scopes, ...(secret === undefined ? {} : { secret }) };
  const { tokenServers, now } = request;
  const askedAt = now();
  const { token, lifetimeS } = await tokenServers.ask(question, { background, signal });
  return { kind: 'bearer', token, expiresAtMs: askedAt + lifetimeS * 1000 };
}

function realmOf({ site, host }: PullTokenRequest, text: string, secret: TokenSecret | undefined): URL {
  if (!URL.canParse(text))
    throw new RegistryError('invalid-response', `${host} names the token realm "${text.slice(0, 200)}"`);
  const realm = new URL(text);
  // Without a credential nothing can leak: any encrypted realm will do.
  if (sameTrust(site.base, realm, site.endpoint) || (secret === undefined && realm.protocol === 'https:')) return realm;
  throw new RegistryError(
    'untrusted-host',
    `${host} asks for credentials to be sent to ${realm.protocol}//${realm.host}, which is not of its trust; ` +
      `if it is, list it in registries."${host}".trusted`,
  );
}

async function ask(
  { site, http }: PullTokenRequest,
  path: string,
  headers: Record<string, string>,
  signal?: AbortSignal,
  method: 'GET' | 'HEAD' = 'GET',
): Promise<HttpResponse> {
  const answer = await http.request({ method, url: new URL(path, site.base), headers, signal });
  answer.discard();
  return answer;
}

function refused({ host, now }: PullTokenRequest, answer: HttpResponse): RegistryError {
  return refusal(answer, `${describeUrl(answer.url)} of ${host}`, now());
}

function refusal(answer: HttpResponse, doing: string, now: number): RegistryError {
  const retryAfterMs = parseRetryAfter(answer.header('retry-after'), now);
  return new RegistryError(codeOfStatus(answer.status), `${doing}: status ${answer.status}`, {
    status: answer.status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
