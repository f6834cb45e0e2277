import { type GrantKey, type GrantMistake, PULL_SECRET_USER, readPullGrant } from '@kuik/contracts';
import { WeightedLru } from './weighted-lru.ts';

/** Whose pods a request is for, by the grant that it shows; or why nobody's. */
export type Shown =
  | { readonly namespace: string; readonly serviceAccount: string; readonly expiresAtMs: number }
  | { readonly nobody: GrantMistake | 'nothing shown' | 'not a grant' };

const NOTHING: Shown = { nobody: 'nothing shown' };
const REMEMBERED = 4_096;
/** A grant is at most this long, and its Basic header a third longer. */
const HEADER_MAX = 4_096;

/** Reads `Authorization` of a request: Basic, with a grant as its password. A signature is checked once; what was read is remembered. */
export class ShownGrants {
  readonly #checker: GrantKey | undefined;
  readonly #read = new WeightedLru<Shown>(REMEMBERED);

  /** Without a key to check by, nobody shows anything. */
  constructor(checker: GrantKey | undefined) {
    this.#checker = checker;
  }

  of(authorization: string | undefined, nowMs: number): Shown {
    if (authorization === undefined) return NOTHING;
    if (authorization.length > HEADER_MAX) return { nobody: 'malformed' };
    const known = this.#read.get(authorization);
    if (known !== undefined && (!('expiresAtMs' in known) || nowMs < known.expiresAtMs)) return known;
    const shown = this.#check(authorization, nowMs);
    this.#read.set(authorization, shown);
    return shown;
  }

  #check(authorization: string, nowMs: number): Shown {
    const login = basicLogin(authorization);
    // Clients that were asked for a password and have none send an empty one.
    if (login === undefined || (login.username === '' && login.password === '')) return NOTHING;
    if (login.username !== PULL_SECRET_USER || this.#checker === undefined) return { nobody: 'not a grant' };
    const grant = readPullGrant(login.password, this.#checker, nowMs);
    return 'mistake' in grant ? { nobody: grant.mistake } : grant;
  }
}

/** User name and password of a Basic header (RFC 7617); undefined when it is none. */
function basicLogin(authorization: string): { username: string; password: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
