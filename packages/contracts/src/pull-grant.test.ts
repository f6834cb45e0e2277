import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { grantCheckingKey, grantSigningKey, readPullGrant, signPullGrant } from './pull-grant.ts';

const NOW = Date.UTC(2026, 0, 1);
const pair = (): { privateKey: string; certificate: string } => {
  const { privateKey, publicKey: certificate } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privateKey, certificate };
};
const ours = pair();
const signer = grantSigningKey(ours.privateKey);
const checker = grantCheckingKey(ours.certificate);
const GRANT = { namespace: 'shop', serviceAccount: 'default', expiresAtMs: NOW + 3_600_000 };
const token = signPullGrant(signer, GRANT);
const parts = token.split('.') as [string, string, string];
const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a pull grant', () => {
  it('says whose pods it is for, to whoever has the certificate', () => {
    expect(readPullGrant(token, checker, NOW)).toEqual({ ...GRANT, expiresAtMs: GRANT.expiresAtMs + 60_000 });
    expect(signer.id).toBe(checker.id);
    expect(token.length).toBeLessThan(500);
  });

  it.each<[string, string, number, string]>([
    ['expired', token, GRANT.expiresAtMs + 60_000, 'expired'],
    ['of another key', signPullGrant(grantSigningKey(pair().privateKey), GRANT), NOW, 'other key'],
    [
      'of another key that names ours',
      signPullGrant({ ...signer, key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }, GRANT),
      NOW,
      'not signed by us',
    ],
    [
      'about another namespace',
      `${parts[0]}.${json({ iss: 'kuik-grants', aud: 'kuik-proxy', ns: 'b', sa: 'c', exp: 2e9 })}.${parts[2]}`,
      NOW,
      'not signed by us',
    ],
    ['unsigned', `${parts[0]}.${parts[1]}.`, NOW, 'not signed by us'],
    ['of algorithm none', `${json({ alg: 'none', kid: signer.id })}.${parts[1]}.`, NOW, 'malformed'],
    ['of two parts', `${parts[0]}.${parts[1]}`, NOW, 'malformed'],
    ['no text of ours', 'hunter2', NOW, 'malformed'],
    ['endless', `${token}${'a'.repeat(4_000)}`, NOW, 'malformed'],
  ])('is refused when it is %s', (_what, text, now, mistake) => {
    expect(readPullGrant(text, checker, now)).toEqual({ mistake });
  });
});
