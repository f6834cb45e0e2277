import { actionsFor, basicUser, mayAccess, parseScope, type AuthPolicy, type Grant, type HostUser } from './access.ts';
import type { RequestFacts } from './decide.ts';
import type { Tokens } from './tokens.ts';

/** A refusal with what its WWW-Authenticate has to say. */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer';
  readonly error?: 'invalid_token' | 'insufficient_scope';
  readonly scope?: string;
}

/** Undefined when the host lets the request in (token and other endpoints are not guarded), else how it must be challenged. */
export function challengeFor(
  policy: AuthPolicy | undefined,
  tokens: Tokens,
  request: RequestFacts,
  authorization: string | undefined,
): Challenge | undefined {
  if (policy === undefined || request.kind === 'token') return undefined;
  const grant: Grant | undefined =
    request.repository === undefined
      ? undefined
      : { repository: request.repository, actions: actionsFor(request.method) };
  if (policy.scheme === 'basic') {
    const user = basicUser(policy, authorization);
    if (user === 'wrong') return { scheme: 'basic' };
    if (user === 'none')
      return grant !== undefined && mayAccess(policy, undefined, grant) ? undefined : { scheme: 'basic' };
    return grant === undefined || mayAccess(policy, user, grant) ? undefined : { scheme: 'basic' };
  }
  const state = tokens.check(request.host, authorization, grant);
  if (state === 'ok') return undefined;
  return {
    scheme: 'bearer',
    ...(state === 'invalid' ? { error: 'invalid_token' as const } : {}),
    ...(state === 'insufficient' ? { error: 'insufficient_scope' as const } : {}),
    ...(grant === undefined ? {} : { scope: `repository:${grant.repository}:${grant.actions.join(',')}` }),
  };
}

/** The WWW-Authenticate value of a challenge (RFC 6750 §3, distribution's token specification). */
export function renderChallenge(challenge: Challenge, host: string, realm: string): string {
  if (challenge.scheme === 'basic') return `Basic realm="${host}"`;
  const parts = [`realm="${realm}"`, `service="${host}"`];
  if (challenge.scope !== undefined) parts.push(`scope="${challenge.scope}"`);
  if (challenge.error !== undefined) parts.push(`error="${challenge.error}"`);
  return `Bearer ${parts.join(',')}`;
}

/** What a client asks the token server, from the query or a posted form. */
export interface TokenRequest {
  readonly parameters: URLSearchParams;
  readonly authorization: string | undefined;
}

export type TokenAnswer =
  | { readonly status: 200; readonly body: Readonly<Record<string, unknown>> }
  | { readonly status: 401 | 403 | 404; readonly body: Readonly<Record<string, unknown>> };

/** The token server: GET with Basic, or POST with `grant_type` password or refresh_token. */
export function answerTokenRequest(
  host: string,
  policy: AuthPolicy | undefined,
  tokens: Tokens,
  { parameters, authorization }: TokenRequest,
  nowMs: number,
): TokenAnswer {
  if (policy === undefined || policy.scheme !== 'bearer') {
    return { status: 404, body: refusal('UNSUPPORTED', `${host} gives no tokens`) };
  }
  const user = userOf(policy, parameters, authorization);
  if (user === 'wrong') return { status: 401, body: refusal('UNAUTHORIZED', 'incorrect username or password') };
  const asked = parameters
    .getAll('scope')
    .flatMap((scope) => scope.split(' '))
    .map(parseScope)
    .filter((grant) => grant !== undefined);
  const who = user === 'none' ? undefined : user;
  const granted = asked.map(({ repository, actions }) => ({
    repository,
    actions: actions.filter((action) => mayAccess(policy, who, { repository, actions: [action] })),
  }));
  if (policy.refuse === 'forbidden' && granted.some(({ actions }) => actions.length === 0)) {
    return { status: 403, body: refusal('DENIED', 'requested access to the resource is denied') };
  }
  const seconds = policy.tokenSeconds ?? 300;
  const token = tokens.issue(host, granted, seconds);
  return {
    status: 200,
    body: { token, access_token: token, expires_in: seconds, issued_at: new Date(nowMs).toISOString() },
  };
}

function userOf(
  policy: AuthPolicy,
  form: URLSearchParams,
  authorization: string | undefined,
): HostUser | 'none' | 'wrong' {
  const refresh = form.get('refresh_token');
  if (refresh !== null) return (policy.users ?? []).find(({ identityToken }) => identityToken === refresh) ?? 'wrong';
  const username = form.get('username');
  if (username === null) return basicUser(policy, authorization);
  const pair = Buffer.from(`${username}:${form.get('password') ?? ''}`).toString('base64');
  return basicUser(policy, `Basic ${pair}`);
}

function refusal(code: string, message: string): Record<string, unknown> {
  return { errors: [{ code, message }], details: message };
}
