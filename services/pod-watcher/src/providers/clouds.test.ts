import { describe, expect, it } from '@jest/globals';
import { resolveUse, type Cloud } from './ambient-identity.ts';
import { AzureProvider, endOfToken, isAzure } from './azure.ts';
import { EcrProvider, ecrRegion } from './ecr.ts';
import { GoogleProvider, isGoogle } from './google.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('whose registry is it', () => {
  it.each([
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com', 'eu-west-1'],
    ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['123456789012.dkr-ecr.eu-west-1.on.aws', 'eu-west-1'],
    ['123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu', 'eusc-de-east-1'],
    ['123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov', 'us-iso-east-1'],
    ['123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov', 'us-isob-east-1'],
    ['public.ecr.aws', 'public'],
    ['ecr-public.aws.com', 'public'],
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test', undefined],
    ['evil.test', undefined],
    ['12345678901.dkr.ecr.eu-west-1.amazonaws.com', undefined],
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443', undefined],
    ['x.public.ecr.aws', undefined],
    ['123456789012.dkr.ecr.eu-west-1.amazonawsXeu', undefined],
  ])('%s: ECR region %s', (host, region) => {
    expect(ecrRegion(host)).toBe(region);
  });

  it.each([
    ['gcr.io', true, false],
    ['eu.gcr.io', true, false],
    ['europe-docker.pkg.dev', true, false],
    ['evilgcr.io', false, false],
    ['pkg.dev.evil.test', false, false],
    ['acme.azurecr.io', false, true],
    ['acme.azurecr.cn', false, true],
    ['azurecr.io', false, false],
    ['azurecr.io.evil.test', false, false],
    ['mcr.microsoft.com', false, false],
  ])('%s: Google %s, Azure %s', (host, google, azure) => {
    expect([isGoogle(host), isAzure(host)]).toEqual([google, azure]);
  });
});

describe('resolveUse', () => {
  const irsa = { AWS_WEB_IDENTITY_TOKEN_FILE: '/t', AWS_ROLE_ARN: 'arn' };
  it.each<[Cloud, 'auto' | 'always' | 'never', Record<string, string>, string]>([
    ['ecr', 'auto', irsa, 'always'],
    ['ecr', 'auto', { AWS_ROLE_ARN: 'arn' }, 'never'],
    ['ecr', 'auto', { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1/credentials' }, 'always'],
    ['ecr', 'auto', { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: '' }, 'never'],
    ['ecr', 'never', irsa, 'never'],
    ['ecr', 'always', {}, 'always'],
    ['google', 'auto', {}, 'never'],
    ['google', 'auto', { GOOGLE_APPLICATION_CREDENTIALS: '/c.json' }, 'always'],
    ['azure', 'auto', { AZURE_FEDERATED_TOKEN_FILE: '/t', AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't' }, 'always'],
    ['azure', 'auto', { AZURE_CLIENT_ID: 'c' }, 'never'],
  ])('%s %s', (cloud, use, env, expected) => {
    expect(resolveUse(cloud, use, env)).toBe(expected);
  });
});

describe('EcrProvider', () => {
  const HOST = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
  const world = () => {
    const asked: string[] = [];
    const token = (name: string) =>
      Promise.resolve({ authorizationToken: base64(`AWS:${name}:pw`), expiresAt: new Date(43_200_000) });
    const sdk = {
      privateToken: (region: string, endpoint?: string) => (asked.push([region, endpoint].join(' ')), token(region)),
      publicToken: () => (asked.push('public'), token('public')),
    };
    return { asked, provider: new EcrProvider({ now: () => 0, endpoint: 'https://vpce.test', sdk }) };
  };

  it('asks once per region, whatever the account and repository', async () => {
    const { asked, provider } = world();
    const logins = await provider.logins(HOST, 'a/b', {});
    await provider.logins(HOST.replace('1234', '4321'), 'c', {});
    await provider.logins(HOST.replace('west-1', 'west-3'), 'c', {});
    await provider.logins('public.ecr.aws', 'nginx/nginx', {});
    expect(asked).toEqual(['eu-west-1 https://vpce.test', 'eu-west-3 https://vpce.test', 'public']);
    const credential = { kind: 'basic', username: 'AWS', password: 'eu-west-1:pw' };
    expect(logins).toEqual([{ credential, expiresAtMs: 43_200_000 }]);
    expect(await provider.logins('quay.io', 'c', {})).toEqual([]);
  });

  it('says when AWS gave no token', async () => {
    const sdk = { privateToken: () => Promise.resolve({}), publicToken: () => Promise.resolve({}) };
    const provider = new EcrProvider({ now: () => 0, sdk });
    await expect(provider.logins(HOST, 'a', {})).rejects.toThrow('ECR answered without a token');
  });
});

describe('GoogleProvider', () => {
  it('is one login for all of Google', async () => {
    let asked = 0;
    const sdk = () => Promise.resolve({ token: `ya29.${++asked}`, expiresAtMs: 3_600_000 });
    const provider = new GoogleProvider({ now: () => 0, sdk });
    const [login] = await provider.logins('eu.gcr.io', 'a/b', {});
    await provider.logins('europe-docker.pkg.dev', 'a/b', {});
    expect(asked).toBe(1);
    expect(login).toEqual({
      credential: { kind: 'basic', username: 'oauth2accesstoken', password: 'ya29.1' },
      expiresAtMs: 3_600_000,
    });
  });
});

describe('AzureProvider', () => {
  const jwt = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

  it('exchanges the access token at each registry, for a refresh token that is used until it ends', async () => {
    const asked: string[] = [];
    const provider = new AzureProvider({
      now: () => 0,
      audience: 'https://containerregistry.azure.net',
      sdk: (scope) => (asked.push(scope), Promise.resolve({ token: 'entra' })),
      exchange: {
        refreshTokenFor: (host, token) => (asked.push(`${host} ${token}`), Promise.resolve(jwt({ exp: 10_800 }))),
      },
    });
    const [login] = await provider.logins('acme.azurecr.io', 'a', {});
    await provider.logins('acme.azurecr.io', 'b', {});
    await provider.logins('other.azurecr.io', 'a', {});
    const scope = 'https://containerregistry.azure.net/.default';
    expect(asked).toEqual([scope, 'acme.azurecr.io entra', scope, 'other.azurecr.io entra']);
    expect(login).toEqual({ credential: { kind: 'identity', token: jwt({ exp: 10_800 }) }, expiresAtMs: 10_800_000 });
  });

  it.each(['', 'a.b.c', jwt({}), jwt({ exp: 'soon' })])('%s names no end', (token) => {
    expect(endOfToken(token)).toBeUndefined();
  });
});
