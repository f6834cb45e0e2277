import { randomBytes } from 'node:crypto';
import type { Grant } from './access.ts';

interface Token {
  readonly host: string;
  readonly grants: readonly Grant[];
  readonly expiresAtMs: number;
}

/** The tokens that the built-in token server gave out. */
export class Tokens {
  readonly #now: () => number;
  readonly #tokens = new Map<string, Token>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A new opaque token for a host. */
  issue(host: string, grants: readonly Grant[], seconds: number): string {
    const token = randomBytes(24).toString('base64url');
    this.#tokens.set(token, { host, grants, expiresAtMs: this.#now() + seconds * 1000 });
    return token;
  }

  /** Whether a Bearer header opens this; without a grant (a ping) any token of the host does. */
  check(host: string, authorization: string | undefined, grant?: Grant): 'ok' | 'none' | 'invalid' | 'insufficient' {
    const [scheme, value = ''] = authorization?.split(' ') ?? [];
    if (scheme?.toLowerCase() !== 'bearer') return 'none';
    const token = this.#tokens.get(value);
    if (token === undefined || token.host !== host || token.expiresAtMs <= this.#now()) return 'invalid';
    if (grant === undefined) return 'ok';
    const held = token.grants.find(({ repository }) => repository === grant.repository)?.actions ?? [];
    return grant.actions.every((action) => held.includes(action)) ? 'ok' : 'insufficient';
  }

  /** Makes every token of a host invalid, as if its time had come. */
  revoke(host: string): void {
    for (const [value, token] of this.#tokens) if (token.host === host) this.#tokens.delete(value);
  }
}
