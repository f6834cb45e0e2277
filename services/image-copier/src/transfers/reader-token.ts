import { verify, X509Certificate, type KeyObject } from 'node:crypto';

const AUDIENCE = 'kuik';

interface Claims {
  readonly iss?: unknown;
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly nbf?: unknown;
  readonly access?: unknown;
}

/**
 * Checks the tokens that our own processes sign for the cache registry: whoever may read a repository there may read through us. By issuer,
 * the PEM of the certificate whose key has to have signed.
 */
export class ReaderTokens {
  readonly #keys: ReadonlyMap<string, KeyObject>;

  constructor(certificates: Readonly<Record<string, string>>) {
    this.#keys = new Map(
      Object.entries(certificates).map(([issuer, pem]) => [issuer, new X509Certificate(pem).publicKey]),
    );
  }

  /** Whose key signed it; to be asked after `refusal` only. */
  issuer(header: string | undefined): unknown {
    return parse<Claims>(header?.slice(7).split('.')[1] ?? '')?.iss;
  }

  /** Why this Authorization header does not let its sender pull `repository` (a name in the cache) now; undefined when it does. */
  refusal(header: string | undefined, repository: string, nowMs: number): string | undefined {
    const [head, body, signature, ...rest] = header?.startsWith('Bearer ') === true ? header.slice(7).split('.') : [];
    if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return 'no token';
    const [{ alg } = {}, claims] = [parse<{ alg?: unknown }>(head), parse<Claims>(body)];
    const key = typeof claims?.iss === 'string' ? this.#keys.get(claims.iss) : undefined;
    if (alg !== 'ES256' || claims === undefined || key === undefined) return 'a token of somebody else';
    const signed = { key, dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', Buffer.from(`${head}.${body}`), signed, Buffer.from(signature, 'base64url')))
      return 'a token with a wrong signature';
    const seconds = nowMs / 1000;
    if (claims.aud !== AUDIENCE || !(Number(claims.exp) > seconds) || !(Number(claims.nbf ?? 0) <= seconds))
      return 'a token that is not valid now';
    const access = Array.isArray(claims.access) ? (claims.access as unknown[]) : [];
    return access.some((entry) => allows(entry, repository)) ? undefined : 'a token for another repository';
  }
}

function allows(entry: unknown, repository: string): boolean {
  const { type, name, actions } = (entry ?? {}) as Record<string, unknown>;
  return type === 'repository' && name === repository && Array.isArray(actions) && actions.includes('pull');
}

function parse<T>(part: string): T | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
