import { describe, expect, it } from '@jest/globals';
import { endpointOf, locateRegistry } from './endpoints.ts';
import type { RegistryMap } from './port.ts';

const registries: RegistryMap = {
  'docker.io': { address: '127.0.0.1:1' },
  'Plain.example.test:5000': { plainHTTP: true },
  'corp.example.test': { allowPrivate: true, ca: 'PEM', trusted: ['s3.example.test'] },
  'ported.example.test:443': { address: '127.0.0.1:2' },
  'moved.example.test': { apiHost: 'api.example.org:8443', ca: 'MOVED' },
};

describe('locateRegistry', () => {
  it.each([
    ['docker.io', {}, 'https://registry-1.docker.io/'],
    ['index.docker.io', {}, 'https://registry-1.docker.io/'],
    // Mapped by a person: the name is the name.
    ['docker.io', registries, 'https://docker.io/'],
    ['ghcr.io', registries, 'https://ghcr.io/'],
    ['plain.example.test:5000', registries, 'http://plain.example.test:5000/'],
    ['plain.example.test', registries, 'https://plain.example.test/'],
    ['[fd00::1]:5000', {}, 'https://[fd00::1]:5000/'],
    ['moved.example.test', registries, 'https://api.example.org:8443/'],
  ])('%s', (host, map, base) => {
    expect(locateRegistry(host, map).base.href).toBe(base);
  });

  it.each(['user@host', 'a/b', 'a b', '', 'host:99999', '-a.test'])('refuses "%s"', (host) => {
    expect(() => locateRegistry(host, {})).toThrow('is not a registry host');
  });
});

describe('endpointOf', () => {
  it.each([
    ['https://docker.io/x', { address: '127.0.0.1:1' }],
    // The map says where docker.io is, not where its other names are.
    ['https://registry-1.docker.io/x', {}],
    ['https://auth.docker.io/x', {}],
    ['http://plain.example.test:5000/', { plainHTTP: true }],
    ['https://plain.example.test/', {}],
    ['https://ported.example.test/', { address: '127.0.0.1:2' }],
    ['https://ported.example.test:8443/', {}],
    // A blob origin that a private registry trusts may be private too, by the same CA.
    ['https://bucket.s3.example.test/x', { allowPrivate: true, ca: 'PEM' }],
    ['https://other.example.test/x', {}],
    // Where the API really is, the registry's settings count; on its other ports they do not.
    ['https://api.example.org:8443/v2/', { apiHost: 'api.example.org:8443', ca: 'MOVED' }],
    ['https://api.example.org/v2/', {}],
  ])('%s', (url, endpoint) => {
    expect(endpointOf(new URL(url), registries)).toEqual(endpoint);
  });
});
