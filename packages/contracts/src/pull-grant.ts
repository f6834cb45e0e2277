import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';

/** Whose pods a pull is for, as our own broker signed it. */
export interface PullGrant {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly expiresAtMs: number;
}

export type GrantMistake = 'malformed' | 'other key' | 'not signed by us' | 'expired';

/** A key of pull grants and its short name, which each grant names. */
export interface GrantKey {
  readonly id: string;
  readonly key: KeyObject;
}

const ISSUER = 'kuik-grants';
const AUDIENCE = 'kuik-proxy';
/** Clocks of two machines may differ by this much. */
const SKEW_MS = 60_000;
/** Names of namespace and service account are at most 63 and 253 characters. */
const LONGEST = 2_048;

const header = z.object({ alg: z.literal('ES256'), kid: z.string() });
const claims = z.object({
  iss: z.literal(ISSUER),
  aud: z.literal(AUDIENCE),
  ns: z.string().min(1),
  sa: z.string().min(1),
  exp: z.number().int(),
});

/** The key that signs, from its PEM. Throws when it is none. */
export function grantSigningKey(pem: string): GrantKey {
  const key = createPrivateKey(pem);
  return { id: idOf(createPublicKey(key)), key };
}

/** The key that grants are checked by, from the PEM of its certificate or public key. Throws when it is none. */
export function grantCheckingKey(certificatePem: string): GrantKey {
  const key = createPublicKey(certificatePem);
  return { id: idOf(key), key };
}

/** A grant as the password of a pull secret: a JWT (RFC 7519, ES256) that says whose pods it is for and until when, and nothing of images. */
export function signPullGrant(signer: GrantKey, grant: PullGrant): string {
  const exp = Math.floor(grant.expiresAtMs / 1000);
  const said = { iss: ISSUER, aud: AUDIENCE, ns: grant.namespace, sa: grant.serviceAccount, exp };
  const text = `${encode({ typ: 'JWT', alg: 'ES256', kid: signer.id })}.${encode(said)}`;
  const signature = sign('sha256', Buffer.from(text), { key: signer.key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

/** What a grant says, checked with nobody's help; or what is wrong with it. */
export function readPullGrant(token: string, checker: GrantKey, nowMs: number): PullGrant | { mistake: GrantMistake } {
  const parts = token.split('.');
  if (token.length > LONGEST || parts.length !== 3) return { mistake: 'malformed' };
  const [head, body, signature] = parts as [string, string, string];
  const named = header.safeParse(decode(head));
  const said = claims.safeParse(decode(body));
  if (!named.success || !said.success) return { mistake: 'malformed' };
  if (named.data.kid !== checker.id) return { mistake: 'other key' };
  const key = { key: checker.key, dsaEncoding: 'ieee-p1363' } as const;
  const signed = verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'));
  if (!signed) return { mistake: 'not signed by us' };
  const { ns, sa, exp } = said.data;
  if (nowMs >= exp * 1000 + SKEW_MS) return { mistake: 'expired' };
  return { namespace: ns, serviceAccount: sa, expiresAtMs: exp * 1000 + SKEW_MS };
}

function idOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
