import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { references } from './arbitrary-reference.ts';
import {
  canonicalHost,
  formatReference,
  InvalidReference,
  parseReference,
  parseRepository,
  tryParseReference,
} from './reference.ts';

const SHA = `sha256:${'5b16'.repeat(16)}`;
const SHA512 = `sha512:${'ab'.repeat(64)}`;

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/library/alpine:3.14', 'docker.io/library/alpine:3.14'],
    ['registry-1.docker.io/library/alpine', 'docker.io/library/alpine:latest'],
    ['Docker.IO/library/alpine', 'docker.io/library/alpine:latest'],
    ['library/nginx', 'docker.io/library/nginx:latest'],
    ['a/b/c:V1', 'docker.io/a/b/c:V1'],
    ['registry.k8s.io/pause', 'registry.k8s.io/pause:latest'],
    ['localhost/foo', 'localhost/foo:latest'],
    ['localhost:5000/foo', 'localhost:5000/foo:latest'],
    ['myregistry:5000/img:1', 'myregistry:5000/img:1'],
    ['REGISTRY:5000/img', 'registry:5000/img:latest'],
    ['GHCR.io/acme/api:v2', 'ghcr.io/acme/api:v2'],
    ['185.145.250.247:30042/alpine', '185.145.250.247:30042/alpine:latest'],
    ['[fd00::1]:5000/a', '[fd00::1]:5000/a:latest'],
    [
      'some-gitlab-registry.com:5000/group/another-group/project/backend',
      'some-gitlab-registry.com:5000/group/another-group/project/backend:latest',
    ],
    [`repo@${SHA}`, `docker.io/library/repo@${SHA}`],
    [`repo:tag@${SHA}`, `docker.io/library/repo:tag@${SHA}`],
    [`quay.io/x/y@${SHA512}`, `quay.io/x/y@${SHA512}`],
    ['x.y/a__b/c.d/e---f:_t', 'x.y/a__b/c.d/e---f:_t'],
    [`x.y/${'a'.repeat(190)}:${'t'.repeat(100)}`, `x.y/${'a'.repeat(190)}:${'t'.repeat(100)}`],
  ])('%s is %s', (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical);
  });

  it.each([
    ['', 'empty'],
    ['invalid:image:8080', 'the repository'],
    ['alpine:tag:another-tag', 'the repository'],
    [':::://::', 'legal'],
    ['@@@', 'digest'],
    ['Nginx', 'lower case'],
    ['ghcr.io/Acme/api', 'lower case'],
    ['REGISTRY/foo', 'needs a domain or a port'],
    ['a//b', 'legal'],
    ['a/../b', 'legal'],
    ['-a', 'legal'],
    ['a_', 'legal'],
    ['a___b', 'legal'],
    ['a..b/c', 'not a registry host'],
    ['x.y:70000/a', 'not a registry host'],
    ['x.y/a:', 'tag'],
    [`x.y/a:${'t'.repeat(129)}`, 'tag'],
    [`x.y/${'a'.repeat(256)}`, 'longer than 255'],
    ['a@sha256:abcd', 'digest'],
    [`a@sha256:${'AB'.repeat(32)}`, 'digest'],
    [`a@md5:${'ab'.repeat(16)}`, 'digest'],
    ['a'.repeat(1025), 'longer than 1024'],
    ['ab'.repeat(32), '64-digit'],
    ['x.y/a b', 'legal'],
    ['x.y/a\n', 'legal'],
  ])('refuses %j: %s', (text, why) => {
    expect(() => parseReference(text)).toThrow(InvalidReference);
    expect(() => parseReference(text)).toThrow(why);
    expect(tryParseReference(text)).toBeUndefined();
  });
});

describe('parseRepository', () => {
  it.each([
    ['nginx', 'docker.io', 'library/nginx'],
    ['quay.io/a/b', 'quay.io', 'a/b'],
    ['r:5000/a', 'r:5000', 'a'],
  ])('%s', (text, host, path) => expect(parseRepository(text)).toEqual({ host, path }));

  it.each(['nginx:1', `nginx@${SHA}`])('refuses %s', (text) =>
    expect(() => parseRepository(text)).toThrow('neither tag nor digest'),
  );
});

describe('canonicalHost', () => {
  it.each([
    ['QUAY.io', 'quay.io'],
    ['index.docker.io', 'docker.io'],
    ['a_b', undefined],
    ['a.b:0', undefined],
    ['-a.b', undefined],
  ])('%s is %s', (text, host) => expect(canonicalHost(text)).toBe(host));
});

describe('properties', () => {
  it('the canonical text parses back to the same reference', () => {
    fc.assert(
      fc.property(references, (reference) => expect(parseReference(formatReference(reference))).toEqual(reference)),
      { numRuns: sized({ usual: 100, full: 5_000 }) },
    );
  });

  it('parsing is idempotent for whatever parses at all', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        const parsed = tryParseReference(text);
        if (parsed !== undefined) expect(parseReference(formatReference(parsed))).toEqual(parsed);
      }),
      { numRuns: sized({ usual: 2_000, full: 100_000 }) },
    );
  });
});
