import { globMatches } from './decide.ts';

export interface HostUser {
  readonly username: string;
  readonly password: string;
  /** Refresh token for `grant_type=refresh_token` (`identitytoken` of a docker config). */
  readonly identityToken?: string;
  /** Globs of the repositories that this user sees. Default all. */
  readonly repositories?: readonly string[];
  /** Default pull and push. */
  readonly actions?: readonly string[];
}

/** Who may read what on a host. Without a policy everybody may do everything. */
export interface AuthPolicy {
  readonly scheme: 'basic' | 'bearer';
  readonly users?: readonly HostUser[];
  /** Globs of the repositories that anybody may pull. Default none. */
  readonly anonymous?: readonly string[];
  /** Host whose `/token` is the realm. Default the host itself. */
  readonly realmHost?: string;
  /** Lifetime of a token. Default 300. */
  readonly tokenSeconds?: number;
  /** What the token server does when asked for more than is allowed: a token without it (Docker Hub), or 403 (others). */
  readonly refuse?: 'empty-token' | 'forbidden';
}

/** One repository and what may be done to it, as in a token's scope. */
export interface Grant {
  readonly repository: string;
  readonly actions: readonly string[];
}

/** Actions that a method needs. */
export function actionsFor(method: string): readonly string[] {
  if (method === 'GET' || method === 'HEAD') return ['pull'];
  return method === 'DELETE' ? ['delete'] : ['pull', 'push'];
}

/** Whether a user (undefined: nobody in particular) may do all these actions to a repository. */
export function mayAccess(policy: AuthPolicy, user: HostUser | undefined, grant: Grant): boolean {
  const open = (policy.anonymous ?? []).some((glob) => globMatches(glob, grant.repository));
  if (open && grant.actions.every((action) => action === 'pull')) return true;
  if (user === undefined) return false;
  const sees = (user.repositories ?? ['*']).some((glob) => globMatches(glob, grant.repository));
  return sees && grant.actions.every((action) => (user.actions ?? ['pull', 'push']).includes(action));
}

/** Parses `repository:<name>:<actions>`; undefined for scopes of other types. */
export function parseScope(scope: string): Grant | undefined {
  const match = /^repository(?:\([^)]*\))?:(.+):([^:]*)$/.exec(scope);
  return match === null ? undefined : { repository: match[1]!, actions: match[2]!.split(',').filter(Boolean) };
}

/** The user that a Basic header names, `none` without a Basic header, `wrong` when name or password is. */
export function basicUser(policy: AuthPolicy, authorization: string | undefined): HostUser | 'none' | 'wrong' {
  const [scheme, value] = authorization?.split(' ') ?? [];
  if (scheme?.toLowerCase() !== 'basic' || value === undefined) return 'none';
  const [username, ...password] = Buffer.from(value, 'base64').toString().split(':');
  const found = (policy.users ?? []).find((user) => user.username === username && user.password === password.join(':'));
  return found ?? 'wrong';
}
