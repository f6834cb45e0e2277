import { describe, expect, it } from '@jest/globals';
import { type Login, readPullSecret, type SecretObject } from './pull-secret.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const metadata = { name: 'regcred', uid: 'u', resourceVersion: '1' };
const json = (config: unknown): SecretObject => ({
  metadata,
  type: 'kubernetes.io/dockerconfigjson',
  data: { '.dockerconfigjson': base64(typeof config === 'string' ? config : JSON.stringify(config)) },
});
const legacy = (config: unknown): SecretObject => ({
  metadata,
  type: 'kubernetes.io/dockercfg',
  data: { '.dockercfg': base64(JSON.stringify(config)) },
});
const login = (name: string) => ({ auth: base64(`${name}:secret`) });

const loginsOf = (secret: SecretObject, host = 'quay.io', repository = 'acme/app'): Login[] =>
  readPullSecret(secret, host, repository).logins.map(({ login: found }) => found);

describe('readPullSecret', () => {
  const both = json({ auths: { 'https://index.docker.io/v1/': login('hub'), 'localhost:5000': login('local') } });

  it.each([
    ['docker.io', both, 'hub'],
    ['localhost:5000', both, 'local'],
    ['localhost:5001', both, undefined],
    ['quay.io', json({ auths: { 'https://quay.io': login('q') } }), 'q'],
    ['quay.io', json({ auths: { 'quay.io/acme/app': login('q') } }), 'q'],
    ['quay.io', json({ auths: { 'quay.io/other': login('q') } }), undefined],
    ['quay.io', json({ auths: { 'evilquay.io': login('q') } }), undefined],
    ['quay.io', json({ auths: { 'quay.io.evil.test': login('q') } }), undefined],
    ['quay.io', json({ auths: { 'quay.io': { username: 'u', password: 'secret' } } }), 'u'],
    ['quay.io', legacy({ 'quay.io': login('old') }), 'old'],
    ['docker.io', legacy({ 'index.docker.io': { username: 'u', password: 'secret' } }), 'u'],
    ['docker.io', json({ auths: { 'registry-1.docker.io': login('hub') } }), 'hub'],
    ['quay.io', json({}), undefined],
    ['quay.io', { ...both, type: 'kubernetes.io/basic-auth' }, undefined],
    ['quay.io', { metadata, type: 'Opaque' }, undefined],
  ])('for %s', (host, secret, username) => {
    const logins = username === undefined ? [] : [{ kind: 'basic', username, password: 'secret' }];
    expect(loginsOf(secret, host)).toEqual(logins);
  });

  it('keeps a colon of the password', () => {
    const secret = json({ auths: { 'quay.io': { auth: base64('robot$a:to:ken') } } });
    expect(loginsOf(secret)).toEqual([{ kind: 'basic', username: 'robot$a', password: 'to:ken' }]);
  });

  it.each([
    ['a missing key', { metadata, type: 'kubernetes.io/dockerconfigjson' }, 'has no key .dockerconfigjson'],
    ['what is no JSON', json('hunter2 {'), 'its .dockerconfigjson is not JSON'],
    ['what is no map', json([]), 'its .dockerconfigjson is not a map of registries'],
    ['an unreadable auth', json({ auths: { 'quay.io': { auth: '00000000' } } }), 'its entry for quay.io has neither'],
    ['an empty entry', json({ auths: { 'quay.io': {} } }), 'its entry for quay.io has neither'],
    ['an entry that is no map', json({ auths: { 'quay.io': 'hunter2' } }), 'its entry for quay.io has neither'],
  ])('names the mistake of %s, never the content', (_name, secret, mistake) => {
    const reading = readPullSecret(secret, 'quay.io', 'acme/app');
    expect(reading).toEqual({ logins: [], mistake: expect.stringContaining(mistake) as unknown });
    expect(JSON.stringify(reading)).not.toContain('hunter2');
  });

  it.each([
    [
      'a registry of many slashes',
      json({ auths: { [`x${'/'.repeat(300_000)}\n`]: login('a'), 'quay.io': login('q') } }),
    ],
    ['a password of many NULs', json({ auths: { 'quay.io': { auth: base64(`q:${'\0'.repeat(300_000)}x`) } } })],
  ])('reads %s in time in proportion to its length', (_name, secret) => {
    const started = performance.now();
    expect(loginsOf(secret)).toMatchObject([{ username: 'q' }]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('drops NULs at the end of a password', () => {
    const secret = json({ auths: { 'quay.io': { auth: base64('q:a\0b\0\0') } } });
    expect(loginsOf(secret)).toEqual([{ kind: 'basic', username: 'q', password: 'a\0b' }]);
  });

  it('does not mind the mistakes of other registries', () => {
    const secret = json({ auths: { 'ghcr.io': { auth: '0' }, 'quay.io': login('q') } });
    expect(readPullSecret(secret, 'quay.io', 'acme/app')).toMatchObject({ logins: [{ login: { username: 'q' } }] });
  });

  it('tries what it can read of a secret with a mistake', () => {
    const secret = json({ auths: { 'quay.io/acme': { auth: '0' }, 'quay.io': login('q') } });
    expect(readPullSecret(secret, 'quay.io', 'acme/app')).toMatchObject({
      logins: [{ login: { username: 'q' } }],
      mistake: expect.stringContaining('its entry for quay.io') as unknown,
    });
  });

  it.each<[string, unknown, Login[]]>([
    ['a refresh token', { identitytoken: 're' }, [{ kind: 'identity', token: 're' }]],
    [
      'a refresh token beside a name without a password (az acr login)',
      { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 're' },
      [{ kind: 'identity', token: 're' }],
    ],
    ['a bearer token', { registrytoken: 'be' }, [{ kind: 'registry', token: 'be' }]],
    [
      'everything: what is sent as it is, then what is exchanged, then the password',
      { ...login('q'), identitytoken: 're', registrytoken: 'be' },
      [
        { kind: 'registry', token: 'be' },
        { kind: 'identity', token: 're' },
        { kind: 'basic', username: 'q', password: 'secret' },
      ],
    ],
    ['an empty token', { ...login('q'), identitytoken: '' }, [{ kind: 'basic', username: 'q', password: 'secret' }]],
    ['a token that would end a header', { registrytoken: 'a\r\nx: y' }, []],
  ])('reads %s', (_name, entry, logins) => {
    expect(loginsOf(json({ auths: { 'quay.io': entry } }))).toEqual(logins);
  });
});
