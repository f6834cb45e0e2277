import { describe, expect, it } from '@jest/globals';
import { parseChallenges, preferredChallenge } from './challenge.ts';

const HUB = {
  scheme: 'bearer',
  realm: 'https://auth.docker.io/token',
  service: 'registry.docker.io',
  scope: 'repository:library/busybox:pull,push',
};

describe('parseChallenges', () => {
  const realm = 'realm="https://auth.docker.io/token"';
  const service = 'service="registry.docker.io"';
  const scope = 'scope="repository:library/busybox:pull,push"';
  it.each([
    [`Bearer ${realm},${service},${scope}`],
    [`Bearer ${realm},${scope},${service}`],
    [`Bearer ${service},${realm},${scope}`],
    [`Bearer ${service},${scope},${realm}`],
    [`Bearer ${scope},${realm},${service}`],
    [`Bearer ${scope},${service},${realm}`],
    [`bearer ${realm}, ${service} , ${scope}`],
    [
      `BEARER Realm="https://auth.docker.io/token",SERVICE="registry.docker.io",Scope="repository:library/busybox:pull,push"`,
    ],
    [`Bearer ${realm},error="invalid_token",${service},${scope}`],
    [`Bearer realm = "https://auth.docker.io/token", ${service}, ${scope}`],
  ])('reads %s', (value) => {
    expect(parseChallenges(value)).toEqual([HUB]);
  });

  it.each([
    ['Basic realm="Registry"', [{ scheme: 'basic', realm: 'Registry' }]],
    ['Basic', [{ scheme: 'basic' }]],
    ['Bearer realm=https://a.test/t', [{ scheme: 'bearer', realm: 'https://a.test/t' }]],
    ['Bearer realm="https://a.test/\\"q\\""', [{ scheme: 'bearer', realm: 'https://a.test/"q"' }]],
    ['Bearer realm=""', []],
    ['Bearer', []],
    ['Negotiate, Basic realm="x"', [{ scheme: 'basic', realm: 'x' }]],
    ['Digest realm="x", qop="auth"', []],
    [
      'Basic realm="a", Bearer realm="https://a.test/t"',
      [
        { scheme: 'basic', realm: 'a' },
        { scheme: 'bearer', realm: 'https://a.test/t' },
      ],
    ],
    ['', []],
    ['"loose text"', []],
    ['realm="no scheme"', []],
  ])('reads %s as written', (value, expected) => {
    expect(parseChallenges(value)).toEqual(expected);
  });

  it('reads several header values, and nothing from none', () => {
    expect(parseChallenges(['Basic', 'Bearer realm="https://a.test"'])).toHaveLength(2);
    expect(parseChallenges(undefined)).toEqual([]);
  });

  it('ends on hostile input', () => {
    const long = `Bearer realm="${'\\'.repeat(50_000)}`;
    expect(parseChallenges(long)).toEqual([]);
  });
});

describe('preferredChallenge', () => {
  it('takes Bearer before Basic, and what there is', () => {
    expect(preferredChallenge(parseChallenges('Basic realm="a", Bearer realm="https://a.test"'))?.scheme).toBe(
      'bearer',
    );
    expect(preferredChallenge(parseChallenges('Basic realm="a"'))?.scheme).toBe('basic');
    expect(preferredChallenge([])).toBeUndefined();
  });
});
