import { describe, expect, it } from '@jest/globals';
import { keepsAuthorization, sameTrust, trustBetween } from './same-trust.ts';

const plain = { plainHTTP: true };

describe('trustBetween', () => {
  it.each([
    ['https://registry-1.docker.io/', 'https://auth.docker.io/token', {}, 'family'],
    ['https://docker.io/', 'https://auth.docker.io/token', {}, 'family'],
    ['https://nvcr.io/', 'https://authn.nvidia.com/token', {}, 'family'],
    ['https://ghcr.io/', 'https://ghcr.io/token', {}, 'origin'],
    ['https://registry.gitlab.com/', 'https://gitlab.com/jwt/auth', {}, 'family'],
    ['https://docker.elastic.co/', 'https://docker-auth.elastic.co/auth', {}, 'family'],
    ['https://registry.example.test:5000/', 'https://registry.example.test/token', {}, 'family'],
    ['https://registry.example.test/', 'https://REGISTRY.example.test:443/token', {}, 'origin'],
    ['https://registry-1.docker.io/', 'https://evil.test/token', {}, 'foreign'],
    ['https://registry-1.docker.io/', 'https://docker.io.evil.test/token', {}, 'foreign'],
    ['https://registry-1.docker.io/', 'https://evildocker.io/token', {}, 'foreign'],
    ['https://nvcr.io/', 'https://nvidia.com/token', {}, 'foreign'],
    ['https://authn.nvidia.com/', 'https://nvcr.io/token', {}, 'foreign'],
    // Tenants of one public suffix are strangers.
    ['https://a.co.uk/', 'https://b.co.uk/', {}, 'foreign'],
    ['https://one.github.io/', 'https://two.github.io/', {}, 'foreign'],
    ['https://one.s3.amazonaws.com/', 'https://two.s3.amazonaws.com/', {}, 'foreign'],
    ['https://registry/', 'https://other/', {}, 'foreign'],
    ['https://10.0.0.1/', 'https://10.0.0.2/', {}, 'foreign'],
    ['https://10.0.0.1:5000/', 'https://10.0.0.1/token', {}, 'family'],
    // Nothing goes back to plain text.
    ['https://ghcr.io/', 'http://ghcr.io/token', {}, 'foreign'],
    ['https://ghcr.io/', 'http://ghcr.io/token', plain, 'foreign'],
    ['http://local.test:5000/', 'http://local.test:5000/token', plain, 'origin'],
    ['http://local.test:5000/', 'http://local.test:5001/token', plain, 'family'],
    ['http://local.test:5000/', 'http://evil.test/token', plain, 'foreign'],
    ['http://local.test:5000/', 'https://local.test/token', plain, 'family'],
    ['https://ghcr.io/', 'https://user:pass@ghcr.io/token', {}, 'foreign'],
    ['https://ghcr.io/', 'ftp://ghcr.io/token', {}, 'foreign'],
    ['https://ghcr.io/', 'https://blobs.corp.test/x', { trusted: ['corp.test'] }, 'configured'],
    ['https://ghcr.io/', 'https://corp.test/x', { trusted: ['corp.test'] }, 'configured'],
    ['https://ghcr.io/', 'https://evilcorp.test/x', { trusted: ['corp.test'] }, 'foreign'],
    ['https://ghcr.io/', 'https://corp.test:8443/x', { trusted: ['corp.test:8443'] }, 'configured'],
    ['https://ghcr.io/', 'https://corp.test/x', { trusted: ['corp.test:8443'] }, 'foreign'],
    ['https://ghcr.io/', 'https://1.10.0.0.1/x', { trusted: ['10.0.0.1'] }, 'foreign'],
  ])('%s -> %s', (from, to, endpoint, trust) => {
    if (!URL.canParse(to)) return expect(trust).toBe('foreign');
    expect(trustBetween(new URL(from), new URL(to), endpoint)).toBe(trust);
  });
});

describe('what the trust allows', () => {
  it.each([
    ['https://r.example.org/', 'https://r.example.org/v2/', true, true],
    ['https://r.example.org/', 'https://blobs.example.org/x', true, false],
    ['https://r.example.org/', 'https://blobs.listed.org/x', true, true],
    ['https://r.example.org/', 'https://cdn.other.org/x', false, false],
  ])('%s -> %s: credentials %s, kept on a redirect %s', (from, to, credentials, redirect) => {
    const endpoint = { trusted: ['listed.org'] };
    expect(sameTrust(new URL(from), new URL(to), endpoint)).toBe(credentials);
    expect(keepsAuthorization(new URL(from), new URL(to), endpoint)).toBe(redirect);
  });
});
