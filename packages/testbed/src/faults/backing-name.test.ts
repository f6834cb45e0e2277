import { describe, expect, it } from '@jest/globals';
import { decodeRepositoryHost, encodeRepository } from './backing-name.ts';

describe('names in the backing registry', () => {
  it.each([
    ['', 'docker.io', 'library/nginx', 'docker.io/library/nginx'],
    ['lease-1', 'docker.io', 'library/nginx', 'lease-1/docker.io/library/nginx'],
    ['', 'reg.test:5000', 'app', 'reg.test__5000/app'],
    ['', 'reg.test', 'NOT/legal', 'reg.test/NOT/legal'],
  ])('prefix %j, %s, %s', (prefix, host, repository, expected) => {
    expect(encodeRepository(prefix, host, repository)).toBe(expected);
  });

  it.each(['docker.io', 'reg.test:5000'])('the host of %s comes back', (host) => {
    expect(decodeRepositoryHost(encodeRepository('', host, 'a').split('/')[0]!)).toBe(host);
  });
});
