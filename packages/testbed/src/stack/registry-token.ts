import { randomUUID, sign, X509Certificate } from 'node:crypto';
import { createAuthority } from '@kuik/runtime';
import type { RegistryAccess, RegistryKey } from '../port.ts';

/** A new ES256 key with its self-signed certificate, which the registry trusts as its root. */
export function createRegistryKey(issuer: string): RegistryKey {
  const { privateKey, certificate } = createAuthority({ commonName: issuer, days: 3650, now: new Date() });
  return { issuer, audience: 'kuik', privateKey, certificate };
}

/** A JWT as Distribution's token authentication takes it, valid for five minutes from `now`. */
export function registryToken(key: RegistryKey, access: readonly RegistryAccess[], now: Date = new Date()): string {
  const seconds = Math.floor(now.getTime() / 1000);
  const header = { typ: 'JWT', alg: 'ES256', x5c: [new X509Certificate(key.certificate).raw.toString('base64')] };
  const claims = {
    iss: key.issuer,
    sub: 'testbed',
    aud: key.audience,
    iat: seconds,
    nbf: seconds - 30,
    exp: seconds + 300,
    jti: randomUUID(),
    access: access.map(({ repository, actions }) => ({ type: 'repository', name: repository, actions })),
  };
  const unsigned = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(unsigned), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${unsigned}.${signature.toString('base64url')}`;
}
