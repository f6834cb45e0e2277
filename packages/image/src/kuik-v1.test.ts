import { describe, expect, it } from '@jest/globals';
import { cacheTag, toCacheRepository } from './cache-name.ts';
import { isLoopbackHost } from './loopback-host.ts';
import { cachedImageName, repositoryObjectName } from './object-name.ts';
import { fromProxyImage, repositoriesOf, toProxyImage } from './proxy-image.ts';
import { formatReference, parseReference, parseRepository, repositoryName } from './reference.ts';

// kuik v1's own test vectors, where they are not met by the tables beside each function. docs/kuik-v1.md lists what differs on purpose.
const PREFIX = 'localhost:4242';

describe("v1's vectors: an image through the proxy", () => {
  it.each([
    ['original-init', 'localhost:4242/docker.io/library/original-init:latest'],
    ['original', 'localhost:4242/docker.io/library/original:latest'],
    ['185.145.250.247:30042/alpine', 'localhost:4242/185.145.250.247__30042/alpine:latest'],
    ['185.145.250.247:30042/alpine:latest', 'localhost:4242/185.145.250.247__30042/alpine:latest'],
  ])('%s is %s', (image, expected) => expect(toProxyImage(parseReference(image), PREFIX)).toBe(expected));

  it('v1 defect: a real registry on localhost becomes Docker Hub', () => {
    const reference = parseReference('localhost:1313/original-2');
    expect(formatReference(reference)).toBe('localhost:1313/original-2:latest');
    expect(isLoopbackHost(reference.host)).toBe(true);
    expect(fromProxyImage('localhost:1313/original-2', [PREFIX])).toEqual([]);
  });

  it('reads what v1 wrote', () => {
    const read = fromProxyImage('localhost:4242/185.145.250.247-30042/alpine:latest', [PREFIX]).map(formatReference);
    expect(read).toContain('185.145.250.247:30042/alpine:latest');
  });
});

describe("v1's vectors: the registry of a path", () => {
  it.each([
    ['127.0.0.1/a', '127.0.0.1/a'],
    ['127.0.0.1-5000/a', '127.0.0.1:5000/a'],
    ['enix.io/a', 'enix.io/a'],
    ['enix.io-5000/a', 'enix.io:5000/a'],
    ['registry-2.enix.io-5000/a', 'registry-2.enix.io:5000/a'],
    ['registry-5000.enix.io-5000/a', 'registry-5000.enix.io:5000/a'],
    ['registry.example.com-5000/team/app', 'registry.example.com:5000/team/app'],
  ])('%s may mean %s', (name, expected) => expect(repositoriesOf(name).map(repositoryName)).toContain(expected));

  it.each([
    ['a host without a dot and with a port goes to Docker Hub', 'myregistry:5000/img'],
    ['a host that ends in a number loses it to a port', 'harbor.prod-1/img'],
  ])('v1 defect: %s', (_name, repository) => {
    const { host, path } = parseRepository(repository);
    const written = toProxyImage({ host, path, tag: '1' }, PREFIX)!;
    expect(fromProxyImage(written, [PREFIX]).map(formatReference)[0]).toBe(`${repository}:1`);
  });
});

describe("v1's vectors: where the cache keeps an image", () => {
  it.each([
    ['alpine', 'docker.io/library/alpine', 'latest'],
    ['docker.io/library/alpine', 'docker.io/library/alpine', 'latest'],
    ['index.docker.io/library/alpine:3.14', 'docker.io/library/alpine', '3.14'],
    [
      'some-gitlab-registry.com:5000/group/another-group/project/backend',
      'some-gitlab-registry.com__5000/group/another-group/project/backend',
      'latest',
    ],
  ])('%s is kept as %s:%s', (image, repository, tag) => {
    const reference = parseReference(image);
    expect([toCacheRepository(reference), cacheTag(reference)]).toEqual([repository, tag]);
  });
});

describe("v1's vectors: names", () => {
  it('gives one image one name, however it is written', () => {
    const names = ['alpine', 'alpine:latest', 'docker.io/library/alpine'].map((image) =>
      cachedImageName(parseReference(image)),
    );
    expect(new Set(names).size).toBe(1);
    expect(names[0]).toMatch(/^docker\.io-library-alpine-latest-[0-9a-f]{8}$/);
    expect(cachedImageName(parseReference('alpine:3.16.3'))).toMatch(
      /^docker\.io-library-alpine-3\.16\.3-[0-9a-f]{8}$/,
    );
  });

  it.each([
    ['foo/bar-baz:1', 'foo/bar:baz-1'],
    ['foo/bar-baz:1', 'foo/bar/baz:1'],
    ['nginx:1.25_RC1', 'nginx:1.25-rc1'],
    ['nginx:V1', 'nginx:v1'],
  ])('v1 defect: different images share one object (%s and %s)', (one, other) => {
    expect(cachedImageName(parseReference(one))).not.toBe(cachedImageName(parseReference(other)));
  });

  it('v1 defect: one image of a registry with a port has two objects', () => {
    const [untagged, tagged] = ['', ':latest'].map((tag) => parseReference(`registry.example.com:5000/team/app${tag}`));
    expect(cachedImageName(untagged!)).toBe(cachedImageName(tagged!));
  });

  it('v1 defect: a long reference has no legal name', () => {
    const path = Array.from({ length: 20 }, () => 'component12').join('/');
    const reference = parseReference(`registry.example.com/${path}:${'t'.repeat(128)}`);
    expect(cachedImageName(reference)).toHaveLength(253);
    expect(repositoryObjectName(reference).length).toBeLessThanOrEqual(253);
  });
});
