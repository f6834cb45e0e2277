import { describe, expect, it } from '@jest/globals';
import { routeOf, targetOf, type Arrival, type Target } from './route.ts';

const HEX = 'a'.repeat(64);

describe('what a path asks for', () => {
  it.each([
    ['/v2/', { kind: 'ping' }],
    ['/v2', { kind: 'ping' }],
    ['/token', { kind: 'token' }],
    ['/v2/library/nginx/manifests/1.27', { kind: 'manifest-tag', repository: 'library/nginx', reference: '1.27' }],
    [`/v2/a/manifests/sha256:${HEX}`, { kind: 'manifest-digest', repository: 'a', reference: `sha256:${HEX}` }],
    [`/v2/a/manifests/sha256%3A${HEX}`, { kind: 'manifest-digest', repository: 'a', reference: `sha256:${HEX}` }],
    [`/v2/a/b/c/blobs/sha256:${HEX}`, { kind: 'blob', repository: 'a/b/c', reference: `sha256:${HEX}` }],
    ['/v2/a/blobs/uploads/', { kind: 'upload', repository: 'a' }],
    ['/v2/a/blobs/uploads/1234-5', { kind: 'upload', repository: 'a' }],
    ['/v2/a/tags/list', { kind: 'tags', repository: 'a' }],
    ['/v2/manifests/manifests/manifests', { kind: 'manifest-tag', repository: 'manifests', reference: 'manifests' }],
    [`/v2/a/referrers/sha256:${HEX}`, { kind: 'referrers', repository: 'a', reference: `sha256:${HEX}` }],
    ['/v2/_catalog', { kind: 'other' }],
    ['/', { kind: 'other' }],
  ])('%s', (path, expected) => {
    expect(routeOf(path)).toEqual(expected);
  });
});

describe('which upstream is meant', () => {
  const arrival = (change: Partial<Arrival>): Arrival => ({
    hostHeader: undefined,
    listenerHost: undefined,
    localPort: 4000,
    isKnown: (host) => ['docker.io', 'reg.test', 'reg.test:5000'].includes(host),
    ...change,
  });
  const PATH = '/v2/app/manifests/1';

  it.each<[string, Partial<Arrival>, string, Partial<Target> | undefined]>([
    ['a known name', { hostHeader: 'docker.io' }, PATH, { host: 'docker.io', path: PATH, byName: true, mount: '' }],
    ['another name of Docker Hub', { hostHeader: 'registry-1.docker.io' }, PATH, { host: 'docker.io' }],
    ['a known name with its port', { hostHeader: 'reg.test:5000' }, PATH, { host: 'reg.test:5000' }],
    ['a known name with the port it came to', { hostHeader: 'reg.test:4000' }, PATH, { host: 'reg.test' }],
    ['an unknown name', { hostHeader: 'New.test:99' }, PATH, { host: 'new.test:99', byName: true }],
    ['an unknown name with the port it came to', { hostHeader: 'new.test:4000' }, PATH, { host: 'new.test' }],
    [
      'a name at the port of another host',
      { hostHeader: 'docker.io', listenerHost: 'reg.test' },
      PATH,
      { host: 'docker.io' },
    ],
    [
      "an address at a host's own port",
      { hostHeader: '127.0.0.1:4000', listenerHost: 'reg.test' },
      PATH,
      { host: 'reg.test', byName: false, mount: '' },
    ],
    [
      "localhost at a host's own port",
      { hostHeader: 'localhost:4000', listenerHost: 'reg.test' },
      PATH,
      { host: 'reg.test' },
    ],
    [
      'a path that names the host',
      { hostHeader: '127.0.0.1:4000' },
      '/v2/docker.io/library/nginx/manifests/1',
      { host: 'docker.io', path: '/v2/library/nginx/manifests/1', byName: false, mount: '/docker.io' },
    ],
    [
      'a path that names host and port',
      { hostHeader: '127.0.0.1:4000' },
      '/v2/reg.test__5000/app/tags/list',
      { host: 'reg.test:5000', mount: '/reg.test__5000' },
    ],
    ['a path that names no host', { hostHeader: '127.0.0.1:4000' }, '/v2/library/nginx/manifests/1', undefined],
    ['a ping at the shared address', { hostHeader: '127.0.0.1:4000' }, '/v2/', undefined],
    ['no Host at all', {}, '/v2/', undefined],
  ])('%s', (_, change, path, expected) => {
    const target = targetOf(path, arrival(change));
    if (expected === undefined) expect(target).toBeUndefined();
    else expect(target).toMatchObject(expected);
  });
});
