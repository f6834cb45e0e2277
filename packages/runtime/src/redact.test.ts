import { describe, expect, it } from '@jest/globals';
import { isSecretName, redact, redactText } from './redact.ts';

const basic = Buffer.from('robot:hunter2').toString('base64');
const seed = `SU${'A'.repeat(56)}`;

describe('redactText', () => {
  it.each([
    [`Authorization: Bearer abc.def`, 'abc.def'],
    [`{"authorization":"Basic ${basic}"}`, basic],
    [`sent Bearer dG9rZW4x0000 to it`, 'dG9rZW4x0000'],
    [`header Basic ${basic} refused`, basic],
    ['redis://kuik:hunter2@127.0.0.1:6379/0 refused', 'hunter2'],
    ['redis://kuik:hunt@er2@127.0.0.1:6379/0 refused', 'er2'],
    ['https://tok3n@host/path', 'tok3n'],
    ['cookie eyJnotatoken-eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl', 'eyJzdWIiOi'],
    ['GET https://s3/x?X-Amz-Signature=5e77&b=1', '5e77'],
    [`token eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl end`, 'eyJzdWIiOi'],
    [`nkey ${seed} rejected`, seed],
    ['-----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----', 'MIIE'],
  ])('hides the secret of %j', (text, secret) => {
    expect(redactText(text)).not.toContain(secret);
    expect(redactText(text)).toContain('[redacted]');
  });

  it.each([
    'Bearer realm="https://auth.example.test/token",service="x"',
    'Basic authentication is not supported by ghcr.io/acme/api:v2',
    'copied docker.io/library/nginx@sha256:00ff',
    'user@example.test asked http://host:5000/v2/',
    'for Basic-only registries',
    `sha256:${'a'.repeat(64)}`,
    'registry.example.test/team/app:1.0',
  ])('leaves %j alone', (text) => {
    expect(redactText(text)).toBe(text);
  });
});

describe('redactText of a text that somebody else chose', () => {
  const length = 300_000;
  it.each([
    'a',
    'eyJaaaaa-',
    'eyJaaaaa.',
    'eyJaaaaa.aaaaa',
    '://',
    'Bearer ',
    'authorization ',
    'Basic ',
    '-----BEGIN ',
    '?sig=',
  ])('takes time in proportion to its length: %j again and again', (unit) => {
    const started = performance.now();
    redactText(unit.repeat(length / unit.length));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('isSecretName', () => {
  it.each([
    'password',
    'Authorization',
    'proxy-authorization',
    'access_token',
    'apiKey',
    'natsNkeySeed',
    'set-cookie',
    'auth',
  ])('%s is', (name) => {
    expect(isSecretName(name)).toBe(true);
  });
  it.each(['pullSecrets', 'secretName', 'tokenExpiresAt', 'author', 'key', 'image', 'authMs'])('%s is not', (name) => {
    expect(isSecretName(name)).toBe(false);
  });
});

describe('redact', () => {
  it('goes into objects, lists and causes', () => {
    const error = Object.assign(
      new Error('cannot read redis://u:hunter2@x', { cause: new TypeError('Bearer abcdef123456') }),
      { code: 'KUIK-X' },
    );
    const clean = JSON.stringify(
      redact({ list: [{ token: 'hunter2', n: 1 }], headers: { authorization: 'hunter2' }, error }),
    );
    expect(clean).not.toMatch(/hunter2|abcdef123456/);
    expect(clean).toContain('KUIK-X');
  });

  it('gives a stack to errors without a code only', () => {
    expect(redact(Object.assign(new Error('no'), { code: 'E' }))).toEqual({ code: 'E', message: 'no' });
    expect(redact(new TypeError('bug'))).toMatchObject({
      name: 'TypeError',
      stack: expect.stringContaining('redact.test'),
    });
  });

  it('survives cycles, bytes and odd values', () => {
    const cycle: Record<string, unknown> = {
      bytes: Buffer.from('x'),
      big: 5n,
      fn: () => 1,
      when: new Date(0),
      map: new Map([['a', 1]]),
    };
    cycle['self'] = cycle;
    expect(() => JSON.stringify(redact(cycle))).not.toThrow();
    expect(redact(cycle)).toMatchObject({
      bytes: '[1 bytes]',
      big: '5',
      when: '1970-01-01T00:00:00.000Z',
      map: { a: 1 },
    });
  });

  it('keeps empty and boolean fields readable', () => {
    expect(redact({ token: undefined, secret: false, password: null })).toEqual({
      token: undefined,
      secret: false,
      password: null,
    });
  });
});
