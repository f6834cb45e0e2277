import { describe, expect, it } from '@jest/globals';
import { createRegistryKey } from '@kuik/testbed';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { CacheAuthorizer, CacheTokens } from './cache-token.ts';

const key = createRegistryKey('kuik-w');
const signer = {
  issuer: 'kuik-w',
  audience: 'kuik',
  keyPem: key.privateKey,
  certificatePem: key.certificate,
  actions: ['pull', 'push', 'delete'],
} as const;
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;

describe('CacheTokens', () => {
  it('signs what Distribution verifies by our certificate', () => {
    const token = new CacheTokens(signer, () => 1_800_000_000_000).token('docker.io/library/nginx', 'ghcr.io/a/b');
    const [header, claims, signature] = token.split('.') as [string, string, string];
    expect(decode(header)).toMatchObject({ typ: 'JWT', alg: 'ES256' });
    const certificate = new X509Certificate(Buffer.from((decode(header)['x5c'] as string[])[0]!, 'base64'));
    const publicKey = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' }));
    const signed = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', Buffer.from(`${header}.${claims}`), signed, Buffer.from(signature, 'base64url'))).toBe(
      true,
    );
    expect(decode(claims)).toMatchObject({
      iss: 'kuik-w',
      aud: 'kuik',
      exp: 1_800_000_300,
      access: [
        { type: 'repository', name: 'docker.io/library/nginx', actions: ['pull', 'push', 'delete'] },
        { type: 'repository', name: 'ghcr.io/a/b', actions: ['pull'] },
      ],
    });
    expect(Number(decode(claims)['nbf'])).toBeLessThanOrEqual(1_800_000_000 - 30);
  });

  it('keeps a token until a minute before it ends, one per repository', () => {
    let nowMs = 1_800_000_000_000;
    const tokens = new CacheTokens(signer, () => nowMs);
    const first = tokens.token('a/b');
    nowMs += 239_000;
    expect(tokens.token('a/b')).toBe(first);
    expect(tokens.token('a/c')).not.toBe(first);
    expect(tokens.token('a/b', 'a/c')).not.toBe(first);
    nowMs += 2_000;
    expect(tokens.token('a/b')).not.toBe(first);
  });
});

describe('CacheAuthorizer', () => {
  it('sends a token unasked, or nothing when there is no key', async () => {
    const signed = new CacheAuthorizer(new CacheTokens(signer, Date.now), 'a/b');
    expect(signed.first({ actions: ['pull'] }).header).toMatch(/^Bearer ey/);
    expect(new CacheAuthorizer(undefined, 'a/b').first({ actions: ['pull'] }).header).toBeUndefined();
    expect(await signed.next()).toBeUndefined();
  });
});
