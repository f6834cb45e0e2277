import { describe, expect, it } from '@jest/globals';
import { parsePull } from './pull-path.ts';

const HEX = 'a'.repeat(64);
const DIGEST = `sha256:${HEX}`;

describe('parsePull reads', () => {
  it.each([
    ['/v2/', { kind: 'base' }],
    ['/v2', { kind: 'base' }],
    [
      '/v2/docker.io/library/nginx/manifests/1.27',
      { kind: 'manifest', repositories: [{ host: 'docker.io', path: 'library/nginx' }], reference: { tag: '1.27' } },
    ],
    [
      '/v2/nginx/manifests/V1',
      { repositories: [{ host: 'docker.io', path: 'library/nginx' }], reference: { tag: 'V1' } },
    ],
    [
      `/v2/registry.example.test__5000/a/b/manifests/${DIGEST}`,
      { repositories: [{ host: 'registry.example.test:5000', path: 'a/b' }], reference: { digest: DIGEST } },
    ],
    [
      `/v2/registry.example.test-5000/a/b/manifests/v1`,
      {
        repositories: [
          { host: 'registry.example.test-5000', path: 'a/b' },
          { host: 'registry.example.test:5000', path: 'a/b' },
        ],
      },
    ],
    [`/v2/docker.io/library/nginx/blobs/${DIGEST}`, { kind: 'blob', digest: DIGEST }],
    ['/v2/quay.io/a/manifests/manifests/v1', { repositories: [{ host: 'quay.io', path: 'a/manifests' }] }],
    ['/v2/quay.io/a/manifests/v1?ns=quay.io', { kind: 'manifest', reference: { tag: 'v1' } }],
    ['/v2/quay.io/a/tags/list?n=5', { kind: 'tags', name: 'quay.io/a', query: 'n=5' }],
    [`/v2/quay.io/a/referrers/${DIGEST}`, { kind: 'referrers', digest: DIGEST, query: '' }],
  ])('%s', (target, expected) => {
    expect(parsePull('GET', target)).toMatchObject(expected);
    expect(parsePull('HEAD', target)).toMatchObject(expected);
  });
});

describe('parsePull refuses', () => {
  it.each([
    ['an absolute-form target', 'http://evil.example/v2/', 'nameInvalid'],
    ['an asterisk', '*', 'nameInvalid'],
    ['another path', '/healthz', 'routeUnknown'],
    ['a path that only begins alike', '/v2x/a/manifests/b', 'routeUnknown'],
    ['the catalogue', '/v2/_catalog', 'routeUnknown'],
    ['an upload session', '/v2/quay.io/a/blobs/uploads/', 'routeUnknown'],
    ['other tags routes', '/v2/quay.io/a/tags/all', 'routeUnknown'],
    ['upper case', '/v2/quay.io/UPPER/manifests/v1', 'nameInvalid'],
    ['a long name', `/v2/quay.io/${'a/'.repeat(2048)}b/manifests/v1`, 'nameInvalid'],
    ['a NUL, escaped', '/v2/quay.io/a%00b/manifests/v1', 'nameInvalid'],
    ['a slash, escaped', '/v2/quay.io%2fa/manifests/v1', 'nameInvalid'],
    ['traversal', '/v2/quay.io/../../etc/manifests/v1', 'nameInvalid'],
    ['traversal, escaped', '/v2/quay.io/%2e%2e/a/manifests/v1', 'nameInvalid'],
    ['traversal in the reference', '/v2/quay.io/a/manifests/../../b', 'routeUnknown'],
    ['dots as the reference', '/v2/quay.io/a/manifests/..', 'manifestReferenceInvalid'],
    ['an empty segment', '/v2/quay.io//a/manifests/v1', 'nameInvalid'],
    ['no name', '/v2/manifests/v1', 'nameInvalid'],
    ['an empty name', '/v2//manifests/v1', 'nameInvalid'],
    ['an empty tag', '/v2/quay.io/a/manifests/', 'manifestReferenceInvalid'],
    ['a long tag', `/v2/quay.io/a/manifests/${'t'.repeat(129)}`, 'manifestReferenceInvalid'],
    ['a broken digest', '/v2/quay.io/a/manifests/sha256:abc', 'digestInvalid'],
    ['an upper-case digest', `/v2/quay.io/a/blobs/sha256:${'A'.repeat(64)}`, 'digestInvalid'],
    ['an unknown algorithm', `/v2/quay.io/a/blobs/md5:${'a'.repeat(32)}`, 'digestInvalid'],
    ['user info in the host', '/v2/user@evil.example/a/manifests/v1', 'nameInvalid'],
    ['an IPv6 host', '/v2/[::1]:5000/a/manifests/v1', 'nameInvalid'],
    ['an empty label in the host', '/v2/quay..io/a/manifests/v1', 'nameInvalid'],
    ['a backslash', '/v2/quay.io\\a/manifests/v1', 'nameInvalid'],
    ['referrers of no digest', '/v2/quay.io/a/referrers/v1', 'digestInvalid'],
  ])('%s', (_what, target, refused) => {
    expect(parsePull('GET', target)).toMatchObject({ refused });
  });

  it.each(['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY'])('%s of anything under /v2/', (method) => {
    expect(parsePull(method, '/v2/quay.io/a/blobs/uploads/')).toEqual({ refused: 'readOnly', what: method });
    expect(parsePull(method, '/v2/')).toMatchObject({ refused: 'readOnly' });
    expect(parsePull(method, '/v2/%2e%2e/x')).toMatchObject({ refused: 'readOnly' });
  });

  it('shows only printable, short text', () => {
    const refusal = parsePull('GET', `/v2/quay.io/é\u0007${'x'.repeat(5000)}/manifests/v1`);
    expect(refusal).toMatchObject({ refused: 'nameInvalid' });
    expect('what' in refusal && refusal.what).toMatch(/^[\x21-\x7e]{1,123}$/);
  });
});
