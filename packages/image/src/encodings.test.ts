import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { anchorTag, cacheTag, digestOfAnchor, fromCacheRepository, toCacheRepository } from './cache-name.ts';
import { digestOf, parseDigest } from './digest.ts';
import { cachedImageName, originalImageKeyV1, repositoryLabel, sanitizeName, stateKey } from './object-name.ts';
import { formatPlatform, parsePlatform, samePlatform } from './platform.ts';
import { fromProxyImage, repositoriesOf, toProxyImage } from './proxy-image.ts';
import { formatReference, parseReference, parseRepository, repositoryName } from './reference.ts';
import { references } from './arbitrary-reference.ts';

const PREFIX = 'localhost:7439';
const RUNS = { numRuns: sized({ usual: 100, full: 5_000 }) };
const SHA = `sha256:${'5b16'.repeat(16)}`;

describe('through the proxy', () => {
  it.each([
    ['nginx:1.27', 'localhost:7439/docker.io/library/nginx:1.27'],
    ['185.145.250.247:30042/alpine', 'localhost:7439/185.145.250.247__30042/alpine:latest'],
    ['myregistry:5000/img:1', 'localhost:7439/myregistry__5000/img:1'],
    ['localhost:5000/app', 'localhost:7439/localhost__5000/app:latest'],
    [`a/b:1@${SHA}`, `localhost:7439/docker.io/a/b:1@${SHA}`],
    [`a/b@${SHA}`, `localhost:7439/docker.io/a/b@${SHA}`],
    ['[fd00::1]:5000/a', undefined],
    [`x.y/${'a'.repeat(252)}`, undefined],
  ])('%s is %s', (text, image) => {
    const reference = parseReference(text);
    expect(toProxyImage(reference, PREFIX)).toBe(image);
    if (image !== undefined) expect(fromProxyImage(image, [PREFIX])[0]).toEqual(reference);
  });

  it('has an inverse for every encodable reference', () => {
    fc.assert(
      fc.property(references, (reference) => {
        const image = toProxyImage(reference, PREFIX);
        if (image !== undefined) expect(fromProxyImage(image, ['other:1', PREFIX])[0]).toEqual(reference);
      }),
      RUNS,
    );
  });

  it.each([
    'nginx',
    'localhost:7440/docker.io/library/nginx',
    'localhost:7439',
    `${PREFIX}/UPPER`,
    `${PREFIX}/a/../b`,
    `${PREFIX}/a:b:c`,
  ])('%s does not go through it', (image) => expect(fromProxyImage(image, [PREFIX])).toEqual([]));

  it.each([
    ['docker.io/library/nginx', ['docker.io/library/nginx']],
    ['nginx', ['docker.io/library/nginx']],
    ['enix/topomatik', ['docker.io/enix/topomatik']],
    ['docker.io/nginx', ['docker.io/library/nginx']],
    ['127.0.0.1-5000/app', ['127.0.0.1-5000/app', '127.0.0.1:5000/app']],
    ['registry-2.enix.io-5000/a', ['registry-2.enix.io-5000/a', 'registry-2.enix.io:5000/a']],
    ['registry-5000.enix.io-5000/a', ['registry-5000.enix.io-5000/a', 'registry-5000.enix.io:5000/a']],
    ['registry.example.com__5000/team/app', ['registry.example.com:5000/team/app']],
    ['myregistry-5000/img', ['myregistry:5000/img', 'docker.io/myregistry-5000/img']],
    ['myregistry__5000/img', ['myregistry:5000/img']],
    ['harbor.prod-1/img', ['harbor.prod-1/img', 'harbor.prod:1/img']],
    ['index.docker.io/library/x', ['docker.io/library/x']],
    ['UPPER/x', []],
    ['../etc/passwd', []],
    ['', []],
    ['a'.repeat(256), []],
  ])('the name %s may mean %j', (name, repositories) =>
    expect(repositoriesOf(name).map(repositoryName)).toEqual(repositories),
  );
});

describe('in the cache', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine', 'latest'],
    ['index.docker.io/library/alpine:3.14', 'docker.io/library/alpine', '3.14'],
    ['some-gitlab-registry.com:5000/group/backend', 'some-gitlab-registry.com__5000/group/backend', 'latest'],
    [`app:1@${SHA}`, 'docker.io/library/app', `kuik-sha256-${'5b16'.repeat(16)}`],
  ])('%s is kept as %s:%s', (text, repository, tag) => {
    const reference = parseReference(text);
    expect(toCacheRepository(reference)).toBe(repository);
    expect(cacheTag(reference)).toBe(tag);
    expect(fromCacheRepository(repository)).toEqual({ host: reference.host, path: reference.path });
  });

  it('never gives one repository to two names', () => {
    fc.assert(
      fc.property(references, references, (a, b) => {
        const [nameA, nameB] = [toCacheRepository(a), toCacheRepository(b)];
        if (nameA !== undefined && nameA === nameB) expect(repositoryName(a)).toBe(repositoryName(b));
        if (nameA !== undefined) expect(fromCacheRepository(nameA)).toEqual({ host: a.host, path: a.path });
      }),
      RUNS,
    );
  });

  it.each(['nohost', 'a..b/c', 'docker.io/UP'])('%s is no cache repository', (name) =>
    expect(fromCacheRepository(name)).toBeUndefined(),
  );

  it('anchors digests', () => {
    expect(digestOfAnchor(anchorTag(SHA))).toBe(SHA);
    const sha512 = digestOf('x', 'sha512');
    expect(anchorTag(sha512)).toBe(`kuik-sha512-${parseDigest(sha512)!.hex.slice(0, 64)}`);
    expect(anchorTag(sha512).length).toBeLessThanOrEqual(128);
    expect(digestOfAnchor('sha256-abc')).toBeUndefined();
    expect(() => anchorTag('nope')).toThrow('not a digest');
  });
});

describe('names', () => {
  it.each([
    ['docker.io/library/alpine', 'docker.io-library-alpine'],
    [
      'some-gitlab-registry.com:5000/group/another-group/project/backend:v1.0.0',
      'some-gitlab-registry.com-5000-group-another-group-project-backend-v1.0.0',
    ],
    ['abc123!@#$%*()_+[]{}\\|".,></?-=', 'abc123'],
    ['abc123++@++yx.z', 'abc123-yx.z'],
    ['abc123++.++yxz', 'abc123-yxz'],
    ['abcEFG-foo#bar', 'abcefg-foo-bar'],
  ])('sanitizeName %s', (text, name) => expect(sanitizeName(text)).toBe(name));

  it.each([
    ['alpine', 'docker.io-library-alpine'],
    ['quay.io/jetstack/cert-manager-controller', 'quay.io-jetstack-cert-manager-controller'],
    [
      'docker.io/rancher/mirrored-prometheus-operator-prometheus-opera',
      'docker.io-rancher-mirrored-prometheus-operator-prometheus-opera',
    ],
    [
      'docker.io/rancher/mirrored-prometheus-operator-prometheus-operat',
      '06ae73f4f9d72fc4ba90adba22a8185029d91484e1663569c215dd0a',
    ],
    [
      'docker.io/rancher/mirrored-prometheus-operator-prometheus-operator',
      'a01bb024da5c0169e47783d4a8e84405604bdd287a718af0d2c96861',
    ],
  ])('label of %s', (text, label) => expect(repositoryLabel(parseRepository(text))).toBe(label));

  it.each([
    ['backend', false, 'original-image-backend'],
    ['backend', true, 'original-init-image-backend'],
    [
      'my-incredible-and-marvelous-backend-that-rocks-s',
      false,
      'original-image-my-incredible-and-marvelous-backend-that-rocks-s',
    ],
    [
      'my-incredible-and-marvelous-backend-that-rocks-so',
      false,
      'original-image-18bbab2679313e5f5e01e371538acb859ead4b32',
    ],
    [
      'my-incredible-and-marvelous-backend-that-ro',
      true,
      'original-init-image-my-incredible-and-marvelous-backend-that-ro',
    ],
    [
      'my-incredible-and-marvelous-backend-that-roc',
      true,
      'original-init-image-2788cc57b31c4a5344e0b7d996539a03ff4a1b43',
    ],
    [
      'my-incredible-and-marvelous-backend-that-rocks-so-much-it-has-become-a-mountain',
      false,
      'original-image-7fd761b215c7f8cfa3ba021f9868df5d1472e967',
    ],
  ])("v1's key of %s (init %s)", (container, init, key) => expect(originalImageKeyV1(container, init)).toBe(key));

  it.each([
    ['a/b:v1', 'a-b:v1'],
    ['one:v1', 'one:V1'],
    ['foo/bar-baz:1', 'foo/bar:baz-1'],
    ['nginx', `nginx@${SHA}`],
  ])('%s and %s are two objects', (a, b) => {
    const [first, second] = [cachedImageName(parseReference(a)), cachedImageName(parseReference(b))];
    expect(first).not.toBe(second);
    expect(stateKey(parseReference(a))).not.toBe(stateKey(parseReference(b)));
  });

  it('are legal object names whatever the reference', () => {
    fc.assert(
      fc.property(references, fc.constantFrom(8, 16, 64), (reference, hashLength) => {
        const name = cachedImageName(reference, hashLength);
        expect(name.length).toBeLessThanOrEqual(253);
        expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
        expect(stateKey(reference)).toMatch(/^[0-9a-f]{16}\.[0-9a-f]{32}$/);
      }),
      RUNS,
    );
    expect(cachedImageName(parseReference(`x.y/${'a'.repeat(250)}:${'t'.repeat(120)}`))).toHaveLength(253);
    expect(cachedImageName(parseReference('nginx:1.27'))).toMatch(/^docker\.io-library-nginx-1\.27-[0-9a-f]{8}$/);
    expect(formatReference(parseReference('nginx:1.27'))).toBe('docker.io/library/nginx:1.27');
  });
});

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['Linux/x86_64', 'linux/amd64'],
    ['windows/amd64', 'windows/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
  ])('%s is %s', (text, canonical) => {
    expect(formatPlatform(parsePlatform(text)!)).toBe(canonical);
    expect(samePlatform(parsePlatform(text)!, parsePlatform(canonical)!)).toBe(true);
  });

  it.each(['', 'a/b/c/d', 'linux/', 'lin ux/amd64'])('%j is no platform', (text) =>
    expect(parsePlatform(text)).toBeUndefined(),
  );
});
